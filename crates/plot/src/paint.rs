//! A drawing as pixels: lines by their distance, areas by scan lines.

use crate::drawing::{Anchor, Color, Drawing, Item};
use crate::font;
use crate::png;

/// Pixels for each unit of a drawing.
const SCALE: f64 = 2.0;
/// Scan lines for each row of pixels in an area.
const SUBROWS: u32 = 4;
/// Thickness of a letter's strokes, as a share of its height.
const PEN: f64 = 0.11;
/// Most pixels of a side; a greater drawing is cut off.
const SIDE_MAX: f64 = 8_192.0;

impl Drawing {
    /// The drawing as a PNG file, at two pixels a unit.
    #[must_use]
    pub fn png(&self) -> Vec<u8> {
        let mut canvas = Canvas::new(self.width * SCALE, self.height * SCALE);
        for item in &self.items {
            canvas.paint(item);
        }
        png::encode(canvas.width, canvas.height, &canvas.pixels)
    }
}

struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: f64, height: f64) -> Self {
        let (width, height) = (cell(width.min(SIDE_MAX)), cell(height.min(SIDE_MAX)));
        Self {
            width,
            height,
            pixels: vec![255; 3 * width as usize * height as usize],
        }
    }

    fn paint(&mut self, item: &Item) {
        match item {
            Item::Line {
                points,
                color,
                width,
            } => self.polyline(&scaled(points), *color, width * SCALE),
            Item::Area { points, color } => self.area(&scaled(points), *color),
            Item::Dot { at, radius, color } => {
                let at = [at[0] * SCALE, at[1] * SCALE];
                self.segment(at, at, *color, 2.0 * radius * SCALE);
            }
            Item::Text { .. } => self.words(item),
        }
    }

    fn words(&mut self, item: &Item) {
        let Item::Text {
            at,
            text,
            size,
            anchor,
            color,
            upwards,
        } = item
        else {
            return;
        };
        let unit = size * 0.72 / font::CAPITAL;
        let widths = text.chars().map(|letter| font::extent(letter).1);
        let length = widths.sum::<f64>() * unit;
        let mut along = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -length / 2.0,
            Anchor::End => -length,
        };
        for letter in text.chars() {
            let (first, width) = font::extent(letter);
            for stroke in font::strokes(letter) {
                let points = stroke.iter().map(|[x, y]| {
                    let (right, up) = (along + (x - first) * unit, (font::CAPITAL - y) * unit);
                    if *upwards {
                        [(at[0] - up) * SCALE, (at[1] - right) * SCALE]
                    } else {
                        [(at[0] + right) * SCALE, (at[1] - up) * SCALE]
                    }
                });
                let points: Vec<[f64; 2]> = points.collect();
                self.polyline(&points, *color, size * PEN * SCALE);
            }
            along += width * unit;
        }
    }

    fn polyline(&mut self, points: &[[f64; 2]], color: Color, width: f64) {
        for pair in points.windows(2) {
            self.segment(pair[0], pair[1], color, width);
        }
    }

    /// A segment with round ends: each pixel by its distance from it.
    fn segment(&mut self, from: [f64; 2], to: [f64; 2], color: Color, width: f64) {
        let half = width / 2.0;
        let reach = half + 1.0;
        let rows = cell(from[1].min(to[1]) - reach)..cell(from[1].max(to[1]) + reach + 1.0);
        let columns = cell(from[0].min(to[0]) - reach)..cell(from[0].max(to[0]) + reach + 1.0);
        let along = [to[0] - from[0], to[1] - from[1]];
        let square = along[0] * along[0] + along[1] * along[1];
        for y in rows.start..rows.end.min(self.height) {
            for x in columns.start..columns.end.min(self.width) {
                let here = [f64::from(x) + 0.5 - from[0], f64::from(y) + 0.5 - from[1]];
                let dot = here[0] * along[0] + here[1] * along[1];
                let share = if square > 0.0 {
                    (dot / square).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                let away = (here[0] - share * along[0]).hypot(here[1] - share * along[1]);
                self.blend(x, y, color, half + 0.5 - away);
            }
        }
    }

    /// A polygon by the even-odd rule.
    fn area(&mut self, points: &[[f64; 2]], color: Color) {
        let low = points
            .iter()
            .map(|point| point[1])
            .fold(f64::INFINITY, f64::min);
        let high = points.iter().map(|point| point[1]).fold(0.0, f64::max);
        let mut row = vec![0.0; self.width as usize];
        for y in cell(low)..cell(high + 1.0).min(self.height) {
            row.fill(0.0);
            for sub in 0..SUBROWS {
                let at = f64::from(y) + (f64::from(sub) + 0.5) / f64::from(SUBROWS);
                for span in crossings(points, at).chunks_exact(2) {
                    cover(&mut row, span[0], span[1]);
                }
            }
            for (x, covered) in (0..self.width).zip(&row) {
                self.blend(x, y, color, covered / f64::from(SUBROWS));
            }
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mixture of two bytes is a byte"
    )]
    fn blend(&mut self, x: u32, y: u32, Color(red, green, blue): Color, share: f64) {
        let share = share.clamp(0.0, 1.0);
        let at = 3 * (y as usize * self.width as usize + x as usize);
        let Some(pixel) = self.pixels.get_mut(at..at + 3).filter(|_| share > 0.0) else {
            return;
        };
        for (old, new) in pixel.iter_mut().zip([red, green, blue]) {
            let mixed = f64::from(*old) + (f64::from(new) - f64::from(*old)) * share;
            *old = mixed.round() as u8;
        }
    }
}

/// Where a horizontal line crosses the polygon, from left to right.
fn crossings(points: &[[f64; 2]], y: f64) -> Vec<f64> {
    let next = points.iter().cycle().skip(1);
    let mut crossings: Vec<f64> = points
        .iter()
        .zip(next)
        .filter(|(from, to)| (from[1] <= y) != (to[1] <= y))
        .map(|(from, to)| from[0] + (y - from[1]) / (to[1] - from[1]) * (to[0] - from[0]))
        .collect();
    crossings.sort_by(f64::total_cmp);
    crossings
}

/// Adds to each pixel how much of it lies between two places.
fn cover(row: &mut [f64], from: f64, to: f64) {
    let (from, to) = (from.max(0.0), to.min(row.len() as f64));
    for x in cell(from)..cell(to + 1.0) {
        let left = f64::from(x);
        if let Some(pixel) = row.get_mut(x as usize) {
            *pixel += (to.min(left + 1.0) - from.max(left)).max(0.0);
        }
    }
}

fn scaled(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    points.iter().map(|[x, y]| [x * SCALE, y * SCALE]).collect()
}

/// The pixel that a place lies in; below the first it is the first.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates"
)]
fn cell(place: f64) -> u32 {
    place.max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_covers_its_pixels_and_no_others() {
        let mut canvas = Canvas::new(8.0, 8.0);
        let square = [[2.0, 2.0], [6.0, 2.0], [6.0, 5.0], [2.0, 5.0]];
        canvas.area(&square, Color(0, 0, 0));
        let black = canvas.pixels.iter().filter(|byte| **byte == 0).count();
        assert_eq!(black, 3 * 4 * 3);
        assert!(canvas.pixels.iter().all(|byte| [0, 255].contains(byte)));
    }

    #[test]
    fn a_line_is_as_wide_as_asked() {
        let mut canvas = Canvas::new(20.0, 20.0);
        canvas.polyline(&[[2.0, 10.0], [18.0, 10.0]], Color(0, 0, 0), 4.0);
        let column = |y: usize| canvas.pixels[3 * (y * 20 + 10)];
        assert_eq!(
            [column(7), column(8), column(11), column(12)],
            [255, 0, 0, 255]
        );
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let mut canvas = Canvas::new(4.0, 4.0);
        canvas.polyline(&[[-9.0, -9.0], [90.0, 90.0]], Color(0, 0, 0), 3.0);
        canvas.area(&[[-5.0, -5.0], [50.0, -5.0], [50.0, 50.0]], Color(9, 9, 9));
        assert_eq!(canvas.pixels.len(), 48);
    }
}
