// A drawing pad of n x n cells with values 0..1: by pointer, or with the arrow keys and space.
import { element } from "./dom.js";

export function pad(size) {
  const cells = new Float32Array(size * size);
  const canvas = element("canvas", {
    class: "pad", tabindex: 0, width: size, height: size, role: "application",
    "aria-label": `Drawing pad, ${size} by ${size}. Arrow keys move, space paints, Delete clears.`,
  });
  canvas.style.imageRendering = "pixelated";
  const context = canvas.getContext("2d");
  let cursor = null;
  let last = null;

  const draw = () => {
    const image = context.createImageData(size, size);
    cells.forEach((value, at) => {
      const marked = cursor && at === cursor.y * size + cursor.x;
      image.data.set([value * 255, value * 255, marked ? 255 : value * 255, 255], at * 4);
    });
    context.putImageData(image, 0, 0);
  };
  // A soft round brush, in cells: a stroke is about a tenth of the pad wide.
  const radius = Math.max(0.8, size / 16);
  const dab = (x, y) => {
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y);
        const value = Math.min(1, Math.max(0, radius + 0.5 - distance));
        cells[row * size + column] = Math.max(cells[row * size + column], value);
      }
    }
  };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * size, ((event.clientY - box.top) / box.height) * size];
  };
  const stroke = (event) => {
    const [x, y] = at(event);
    const [fromX, fromY] = last ?? [x, y];
    const steps = Math.max(1, Math.ceil(Math.hypot(x - fromX, y - fromY) * 2));
    for (let step = 1; step <= steps; step++) dab(fromX + ((x - fromX) * step) / steps, fromY + ((y - fromY) * step) / steps);
    last = [x, y];
    draw();
  };
  const clear = () => {
    cells.fill(0);
    draw();
  };
  canvas.addEventListener("pointerdown", (event) => {
    cursor = last = null;
    canvas.setPointerCapture(event.pointerId);
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && stroke(event));
  canvas.addEventListener("pointerup", () => (last = null));
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    cursor ??= { x: size >> 1, y: size >> 1 };
    if (move) {
      cursor = { x: Math.min(size - 1, Math.max(0, cursor.x + move[0])), y: Math.min(size - 1, Math.max(0, cursor.y + move[1])) };
    } else if (event.key === " ") dab(cursor.x + 0.5, cursor.y + 0.5);
    else if (event.key === "Delete") clear();
    else return;
    event.preventDefault();
    draw();
  });
  draw();
  return { canvas, clear, cells: () => Array.from(cells) };
}
