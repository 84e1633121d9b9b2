// $title, over REST: go run FILE.go
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
)

func filled(shape []int, value any) any {
	if len(shape) == 0 {
		return value
	}
	rows := make([]any, shape[0])
	for i := range rows {
		rows[i] = filled(shape[1:], value)
	}
	return rows
}

func main() {
	$noun := map[string]any{
$go_values
	}
	body, err := json.Marshal(map[string]any{"signature_name": $signature, "$key": $go_request})
	if err != nil {
		log.Fatal(err)
	}
	response, err := http.Post("$url", "application/json", bytes.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		log.Fatalf("%s: %s", response.Status, answer)
	}
	fmt.Println(string(answer))
}
