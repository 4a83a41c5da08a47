//! A drawing as SVG.

use std::fmt::Write;

use crate::drawing::{Anchor, Color, Drawing, Item};

impl Drawing {
    /// The drawing as an SVG document.
    #[must_use]
    pub fn svg(&self) -> String {
        let (width, height) = (self.width, self.height);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"Helvetica, Arial, sans-serif\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
        );
        for item in &self.items {
            write_item(&mut text, item);
        }
        text.push_str("</svg>\n");
        text
    }
}

fn write_item(text: &mut String, item: &Item) {
    let _ = match item {
        Item::Line {
            points,
            color,
            width,
        } => writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" \
             stroke-linejoin=\"round\"/>",
            list(points),
            hex(*color)
        ),
        Item::Area { points, color } => writeln!(
            text,
            "<polygon points=\"{}\" fill=\"{}\"/>",
            list(points),
            hex(*color)
        ),
        Item::Dot { at, radius, color } => writeln!(
            text,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" fill=\"{}\"/>",
            at[0],
            at[1],
            hex(*color)
        ),
        Item::Text {
            at: [x, y],
            text: words,
            size,
            anchor,
            color,
            upwards,
        } => {
            let turn = if *upwards {
                format!(" transform=\"rotate(-90 {x:.1} {y:.1})\"")
            } else {
                String::new()
            };
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            writeln!(
                text,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" \
                 fill=\"{}\"{turn}>{}</text>",
                hex(*color),
                escape(words)
            )
        }
    };
}

fn list(points: &[[f64; 2]]) -> String {
    let pairs: Vec<String> = points
        .iter()
        .map(|[x, y]| format!("{x:.1},{y:.1}"))
        .collect();
    pairs.join(" ")
}

fn hex(Color(red, green, blue): Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escape(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
