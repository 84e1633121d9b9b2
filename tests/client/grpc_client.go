// Calls the server with gRPC's implementation in Go: health, Predict compressed and not, an error, and a deadline.
//
// Usage: grpc_client ADDRESS <request >response. The request is a serialized PredictRequest; the response is the one
// of the call without compression. The other calls are written to stderr, one line each.
package main

import (
	"context"
	"fmt"
	"io/ioutil"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

const predict = "/tensorflow.serving.PredictionService/Predict"

// raw passes messages as bytes, so that no stubs have to be generated.
type raw struct{}

func (raw) Marshal(message interface{}) ([]byte, error) { return *message.(*[]byte), nil }

func (raw) Unmarshal(data []byte, message interface{}) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (raw) Name() string { return "proto" }

func call(connection *grpc.ClientConn, request []byte, timeout time.Duration, options ...grpc.CallOption) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var response []byte
	err := connection.Invoke(ctx, predict, &request, &response, append(options, grpc.ForceCodec(raw{}))...)
	return response, err
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	request, err := ioutil.ReadAll(os.Stdin)
	check(err)
	connection, err := grpc.Dial(os.Args[1], grpc.WithInsecure())
	check(err)
	defer connection.Close()

	health, err := grpc_health_v1.NewHealthClient(connection).Check(
		context.Background(), &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
	check(err)
	fmt.Fprintln(os.Stderr, "health:", health.Status)

	response, err := call(connection, request, time.Minute)
	check(err)
	compressed, err := call(connection, request, time.Minute, grpc.UseCompressor(gzip.Name))
	check(err)
	fmt.Fprintln(os.Stderr, "compressed equal:", string(compressed) == string(response))

	_, err = call(connection, []byte{}, time.Minute)
	fmt.Fprintln(os.Stderr, "error:", status.Code(err), status.Convert(err).Message())
	_, err = call(connection, request, time.Nanosecond)
	fmt.Fprintln(os.Stderr, "deadline:", status.Code(err))
	_, err = os.Stdout.Write(response)
	check(err)
}
