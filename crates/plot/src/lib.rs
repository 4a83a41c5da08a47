//! Small charts as SVG and PNG: points with intervals, stacked areas, steps.
//!
//! A [`Drawing`] is a list of lines, boxes and words; one backend writes it as SVG, the other
//! paints it. Words are painted with a stroke font of our own, so that no font file is needed.
//!
//! ```
//! use vxscope_plot::{Axis, Chart, Color, Series, Shape};
//!
//! let chart = Chart {
//!     title: "Cost against detection".to_owned(),
//!     x: Axis::new("cost, USD", 0.0, 100.0),
//!     y: Axis::new("seen, %", 0.0, 100.0),
//!     series: vec![Series {
//!         name: "dynamic".to_owned(),
//!         color: Color::BLUE,
//!         shape: Shape::Point { x: 40.0, y: 90.0, low: 85.0, high: 93.0 },
//!     }],
//!     notes: Vec::new(),
//! };
//! let drawing = chart.draw(640.0, 400.0);
//! assert!(drawing.svg().starts_with("<svg"));
//! assert_eq!(drawing.png()[1..4], *b"PNG");
//! ```

mod chart;
mod drawing;
mod font;
mod paint;
mod png;
mod svg;

pub use chart::{Axis, Chart, Series, Shape};
pub use drawing::{Anchor, Color, Drawing, Item};
