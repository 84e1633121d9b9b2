// A drawing pad of size x size cells with values from 0 to 1, for the pointer and the keyboard.
import { element } from "./dom.js";

/** Returns { canvas, clear(), cells() }. cells() is the list of values, row by row. */
export function drawingPad(size) {
  const cells = new Float32Array(size * size);
  const canvas = element("canvas", {
    class: "pad",
    tabindex: 0,
    width: size,
    height: size,
    role: "application",
    "aria-label": `Drawing pad, ${size} by ${size}. Arrow keys move the cursor, Space paints, Delete clears.`,
  });
  canvas.style.imageRendering = "pixelated";
  const context = canvas.getContext("2d");
  let cursor = null;
  let lastPoint = null;

  const draw = () => {
    const image = context.createImageData(size, size);
    cells.forEach((value, index) => {
      const underCursor = cursor && index === cursor.y * size + cursor.x;
      image.data.set([value * 255, value * 255, underCursor ? 255 : value * 255, 255], index * 4);
    });
    context.putImageData(image, 0, 0);
  };
  // The radius of a soft round brush in cells. A stroke is about a tenth of the pad wide.
  const radius = Math.max(0.8, size / 16);
  const paint = (x, y) => {
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y);
        const value = Math.min(1, Math.max(0, radius + 0.5 - distance));
        cells[row * size + column] = Math.max(cells[row * size + column], value);
      }
    }
  };
  const position = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * size, ((event.clientY - box.top) / box.height) * size];
  };
  const stroke = (event) => {
    const [x, y] = position(event);
    const [fromX, fromY] = lastPoint ?? [x, y];
    const steps = Math.max(1, Math.ceil(Math.hypot(x - fromX, y - fromY) * 2));
    for (let step = 1; step <= steps; step++)
      paint(fromX + ((x - fromX) * step) / steps, fromY + ((y - fromY) * step) / steps);
    lastPoint = [x, y];
    draw();
  };
  const clear = () => {
    cells.fill(0);
    draw();
  };
  canvas.addEventListener("pointerdown", (event) => {
    cursor = lastPoint = null;
    canvas.setPointerCapture(event.pointerId);
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && stroke(event));
  canvas.addEventListener("pointerup", () => (lastPoint = null));
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    cursor ??= { x: size >> 1, y: size >> 1 };
    if (move) {
      cursor = {
        x: Math.min(size - 1, Math.max(0, cursor.x + move[0])),
        y: Math.min(size - 1, Math.max(0, cursor.y + move[1])),
      };
    } else if (event.key === " ") paint(cursor.x + 0.5, cursor.y + 0.5);
    else if (event.key === "Delete") clear();
    else return;
    event.preventDefault();
    draw();
  });
  draw();
  return { canvas, clear, cells: () => Array.from(cells) };
}
