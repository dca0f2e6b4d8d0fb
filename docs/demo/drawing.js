// Two pictures on one canvas, with their points and matches.

import { project } from "./homography.js";

const GAP = 8; // CSS pixels between the pictures
const NARROW = 640; // CSS pixels below which they stand one above the other
const TALL = 1.6; // sum of widths over heights of two pictures that fit side by side on a phone
const SHORTEST = 320; // CSS pixels of height that the pictures may always take
const AGREES = "#2fe6a8";
const DIFFERS = "#ff9d47";
const OUTLINE = "#ffffff";

/**
 * Return where two pictures go, in CSS pixels: side by side, or one above the other on a phone,
 * unless both are tall.
 */
export function layout(a, b, width, tallest) {
  const shapes = [a, b].map((picture) => picture.width / picture.height);
  if (width < NARROW && shapes[0] + shapes[1] > TALL) {
    const [above, below] = shapes.map((shape) => width / shape);
    return {
      stacked: true,
      width,
      height: above + GAP + below,
      places: [
        { x: 0, y: 0, width, height: above },
        { x: 0, y: above + GAP, width, height: below },
      ],
    };
  }
  const height = Math.min(tallest, (width - GAP) / (shapes[0] + shapes[1]));
  const [left, right] = shapes.map((shape) => shape * height);
  return {
    stacked: false,
    width: left + GAP + right,
    height,
    places: [
      { x: 0, y: 0, width: left, height },
      { x: left + GAP, y: 0, width: right, height },
    ],
  };
}

/**
 * Draw the scene.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {{pictures: HTMLCanvasElement[], features: Features[], matches: Match[], plane: object | null,
 *   showPoints: boolean}} scene - `plane` from `findHomography`, its inliers in the order of `matches`
 */
export function draw(canvas, { pictures, features, matches, plane, showPoints }) {
  const stage = canvas.parentElement;
  const tallest = Math.max(SHORTEST, 0.85 * innerHeight);
  const { stacked, width, height, places } = layout(...pictures, stage.clientWidth, tallest);
  stage.classList.toggle("stacked", stacked);
  const density = Math.min(devicePixelRatio || 1, 2);
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  canvas.style.width = `${width}px`;
  const context = canvas.getContext("2d");
  context.scale(density, density);
  context.imageSmoothingQuality = "high";
  pictures.forEach((picture, i) => {
    const { x, y, width, height } = places[i];
    context.drawImage(picture, x, y, width, height);
  });

  /** Turn pixels of a picture, whole numbers at their centres, into those of the canvas. */
  const onCanvas = (side, [x, y]) => {
    const place = places[side], scale = place.width / pictures[side].width;
    return [place.x + (x + 0.5) * scale, place.y + (y + 0.5) * scale];
  };
  const point = (side, i) => onCanvas(side, features[side].xy.subarray(2 * i, 2 * i + 2));

  if (showPoints) {
    features.forEach(({ xy }, side) => {
      dots(context, Array.from({ length: xy.length / 2 }, (_, i) => point(side, i)));
    });
  }
  const lines = matches.map((match, i) => ({
    from: point(0, match.a),
    to: point(1, match.b),
    colour: plane ? (plane.inliers[i] ? AGREES : DIFFERS) : hue(features[0], match.a),
    agrees: !plane || plane.inliers[i],
  }));
  lines.sort((a, b) => a.agrees - b.agrees); // those that agree on top
  for (const line of lines) segment(context, line, lines.length);
  if (plane) outline(context, plane.matrix, pictures[0], (corner) => onCanvas(1, corner), places[1]);
}

function dots(context, points) {
  context.fillStyle = "rgb(255 255 255 / 80%)";
  context.strokeStyle = "rgb(0 0 0 / 55%)";
  context.lineWidth = 1;
  context.beginPath();
  for (const [x, y] of points) {
    context.moveTo(x + 1.6, y);
    context.arc(x, y, 1.6, 0, 2 * Math.PI);
  }
  context.stroke();
  context.fill();
}

function segment(context, { from, to, colour, agrees }, count) {
  context.globalAlpha = Math.min(0.9, (agrees ? 0.35 : 0.2) + 20 / count);
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = agrees ? 1.1 : 0.9;
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
  context.globalAlpha = 1;
  for (const [x, y] of [from, to]) {
    context.beginPath();
    context.arc(x, y, 2, 0, 2 * Math.PI);
    context.fill();
  }
}

/** Colour by place in the first picture, so that neighbours look alike. */
function hue(features, i) {
  return `hsl(${Math.round((320 * features.xy[2 * i]) / features.width)} 90% 62%)`;
}

/** Draw where the edges of the first picture lie in the second. */
function outline(context, matrix, picture, onCanvas, place) {
  const right = picture.width - 0.5, bottom = picture.height - 0.5;
  const corners = [[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]];
  context.save();
  context.beginPath();
  context.rect(place.x, place.y, place.width, place.height);
  context.clip();
  context.beginPath();
  corners.forEach((corner) => context.lineTo(...onCanvas(project(matrix, corner))));
  context.closePath();
  context.lineJoin = "round";
  for (const [colour, width] of [["rgb(0 0 0 / 60%)", 5], [OUTLINE, 2.5]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  }
  context.restore();
}
