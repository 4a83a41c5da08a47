//! A chart: axes, and series of points with intervals, lines or bands.

use crate::drawing::{Anchor, Color, Drawing, Item};

const LEFT: f64 = 64.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 52.0;
const SMALL: f64 = 12.0;

/// One axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it measures, with its unit.
    pub label: String,
    /// Its ends.
    pub low: f64,
    /// Its ends.
    pub high: f64,
}

impl Axis {
    /// From its label and its ends.
    #[must_use]
    pub fn new(label: &str, low: f64, high: f64) -> Self {
        Self {
            label: label.to_owned(),
            low,
            high,
        }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low).max(f64::MIN_POSITIVE)
    }

    /// Round numbers, about six of them.
    fn ticks(&self) -> Vec<f64> {
        let rough = ((self.high - self.low) / 6.0).max(f64::MIN_POSITIVE);
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|one| one * power)
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let first = (self.low / step).ceil();
        (0..12)
            .map(|index| (first + f64::from(index)) * step)
            .filter(|tick| *tick <= self.high + step * 1e-6)
            .collect()
    }
}

/// What a series looks like.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A point with an interval up and down.
    Point {
        /// Where.
        x: f64,
        /// Where.
        y: f64,
        /// Lower end of the interval.
        low: f64,
        /// Upper end of the interval.
        high: f64,
    },
    /// A line through points.
    Line(Vec<[f64; 2]>),
    /// An area between two lines: x, lower y, upper y.
    Band(Vec<[f64; 3]>),
}

/// One thing in the legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its color.
    pub color: Color,
    /// What it looks like.
    pub shape: Shape,
}

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it shows, in a sentence.
    pub title: String,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upwards.
    pub y: Axis,
    /// Series, the later over the earlier.
    pub series: Vec<Series>,
    /// Words under the legend.
    pub notes: Vec<String>,
}

impl Chart {
    /// Draws it.
    #[must_use]
    pub fn draw(&self, width: f64, height: f64) -> Drawing {
        let mut drawing = Drawing::new(width, height);
        let plane = Plane {
            chart: self,
            width,
            height,
        };
        plane.grid(&mut drawing);
        for series in &self.series {
            plane.series(&mut drawing, series);
        }
        plane.legend(&mut drawing);
        drawing
    }
}

struct Plane<'a> {
    chart: &'a Chart,
    width: f64,
    height: f64,
}

impl Plane<'_> {
    fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let (across, up) = (self.chart.x.share(x), self.chart.y.share(y));
        let inner = [self.width - LEFT - RIGHT, self.height - TOP - BOTTOM];
        [
            LEFT + across.clamp(0.0, 1.0) * inner[0],
            self.height - BOTTOM - up.clamp(0.0, 1.0) * inner[1],
        ]
    }

    fn grid(&self, drawing: &mut Drawing) {
        let Chart { x, y, title, .. } = self.chart;
        let top = [LEFT, TOP - 20.0];
        drawing.text(top, title, 16.0, Anchor::Start, Color::INK);
        for tick in y.ticks() {
            let (from, to) = (self.at(x.low, tick), self.at(x.high, tick));
            drawing.line(vec![from, to], Color::GRID, 1.0);
            let label = [from[0] - 8.0, from[1] + 4.0];
            drawing.text(label, &number(tick), SMALL, Anchor::End, Color::GREY);
        }
        for tick in x.ticks() {
            let [left, bottom] = self.at(tick, y.low);
            drawing.line(vec![[left, bottom], [left, bottom + 4.0]], Color::GREY, 1.0);
            let label = [left, bottom + 18.0];
            drawing.text(label, &number(tick), SMALL, Anchor::Middle, Color::GREY);
        }
        let ends = [self.at(x.low, y.low), self.at(x.high, y.low)];
        drawing.line(ends.to_vec(), Color::INK, 1.0);
        let middle = [(ends[0][0] + ends[1][0]) / 2.0, self.height - 12.0];
        drawing.text(middle, &x.label, SMALL, Anchor::Middle, Color::INK);
        drawing.items.push(Item::Text {
            at: [18.0, (TOP + self.height - BOTTOM) / 2.0],
            text: y.label.clone(),
            size: SMALL,
            anchor: Anchor::Middle,
            color: Color::INK,
            upwards: true,
        });
    }

    fn series(&self, drawing: &mut Drawing, series: &Series) {
        let color = series.color;
        match &series.shape {
            Shape::Point { x, y, low, high } => {
                let ends = vec![self.at(*x, *low), self.at(*x, *high)];
                drawing.line(ends, color, 2.0);
                let at = self.at(*x, *y);
                drawing.items.push(Item::Dot {
                    at,
                    radius: 5.0,
                    color,
                });
            }
            Shape::Line(points) => {
                let points = points.iter().map(|[x, y]| self.at(*x, *y)).collect();
                drawing.line(points, color, 2.0);
            }
            Shape::Band(points) => {
                let upper = points.iter().map(|[x, _, high]| self.at(*x, *high));
                let lower = points.iter().rev().map(|[x, low, _]| self.at(*x, *low));
                let points = upper.chain(lower).collect();
                drawing.items.push(Item::Area { points, color });
            }
        }
    }

    fn legend(&self, drawing: &mut Drawing) {
        let left = self.width - RIGHT + 18.0;
        let mut top = TOP + 8.0;
        for series in &self.chart.series {
            drawing.items.push(Item::Dot {
                at: [left, top - 4.0],
                radius: 5.0,
                color: series.color,
            });
            let at = [left + 12.0, top];
            drawing.text(at, &series.name, SMALL, Anchor::Start, Color::INK);
            top += 20.0;
        }
        for note in &self.chart.notes {
            drawing.text(
                [left - 6.0, top + 6.0],
                note,
                SMALL,
                Anchor::Start,
                Color::GREY,
            );
            top += 18.0;
        }
    }
}

/// As few digits as tell ticks apart.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        assert_eq!(
            Axis::new("", 0.0, 100.0).ticks(),
            [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
        );
        assert_eq!(Axis::new("", 0.0, 30_000.0).ticks().len(), 7);
        assert!(Axis::new("", 0.0, 0.0).ticks().len() <= 12);
        assert_eq!(
            [number(0.25), number(20.0), number(-0.0)],
            ["0.25", "20", "0"]
        );
    }

    #[test]
    fn both_backends_have_every_item() {
        let chart = Chart {
            title: "A <chart> & more".to_owned(),
            x: Axis::new("x", 0.0, 10.0),
            y: Axis::new("y", 0.0, 1.0),
            series: vec![
                series("band", Shape::Band(vec![[0.0, 0.1, 0.3], [9.0, 0.2, 0.6]])),
                series("line", Shape::Line(vec![[0.0, 0.0], [9.0, 0.9]])),
                series(
                    "point",
                    Shape::Point {
                        x: 5.0,
                        y: 0.5,
                        low: 0.4,
                        high: 0.7,
                    },
                ),
            ],
            notes: vec!["a note".to_owned()],
        };
        let drawing = chart.draw(600.0, 300.0);
        let svg = drawing.svg();
        assert!(svg.contains("A &lt;chart&gt; &amp; more") && svg.contains("<polygon"));
        let dots = svg.matches("<circle").count();
        assert_eq!(dots, 1 + 3);
        let png = drawing.png();
        assert_eq!(png[16..24], [0, 0, 4, 176, 0, 0, 2, 88]);
        if let Some(folder) = std::env::var_os("VXSCOPE_PLOTS") {
            std::fs::write(std::path::Path::new(&folder).join("sample.png"), png).unwrap();
        }
    }

    fn series(name: &str, shape: Shape) -> Series {
        Series {
            name: name.to_owned(),
            color: Color::BLUE,
            shape,
        }
    }
}
