//! What is drawn, before anybody decides how.

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

impl Color {
    /// Text and axes.
    pub const INK: Self = Self(0x22, 0x28, 0x33);
    /// Grid lines.
    pub const GRID: Self = Self(0xdd, 0xe1, 0xe7);
    /// Less important text.
    pub const GREY: Self = Self(0x76, 0x7e, 0x8c);
    /// What the chart is about.
    pub const BLUE: Self = Self(0x1f, 0x5f, 0xbf);
    /// A contrast.
    pub const ORANGE: Self = Self(0xd9, 0x73, 0x1a);
    /// A contrast.
    pub const GREEN: Self = Self(0x3a, 0x8f, 0x4d);
    /// A limit.
    pub const RED: Self = Self(0xc0, 0x30, 0x30);
    /// The background.
    pub const WHITE: Self = Self(0xff, 0xff, 0xff);
    /// For series in order.
    pub const SERIES: [Self; 9] = [
        Self::BLUE,
        Self::ORANGE,
        Self::GREEN,
        Self(0x8e, 0x5b, 0xb5),
        Self(0x9b, 0x76, 0x2f),
        Self(0x2a, 0x97, 0xa0),
        Self(0xb8, 0x3c, 0x80),
        Self::GREY,
        Self(0x12, 0x1c, 0x4a),
    ];

    /// Mixed with white: 1 is the color itself.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mixture of two bytes is a byte"
    )]
    pub fn tint(self, share: f64) -> Self {
        let mix = |one: u8| (255.0 - (255.0 - f64::from(one)) * share.clamp(0.0, 1.0)) as u8;
        Self(mix(self.0), mix(self.1), mix(self.2))
    }
}

/// Where a text's point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// At its beginning.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

/// One thing that is drawn; coordinates grow to the right and down.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A line through points.
    Line {
        /// The points.
        points: Vec<[f64; 2]>,
        /// Its color.
        color: Color,
        /// Its width.
        width: f64,
    },
    /// A filled area.
    Area {
        /// Its corners.
        points: Vec<[f64; 2]>,
        /// Its color.
        color: Color,
    },
    /// A filled circle.
    Dot {
        /// Its middle.
        at: [f64; 2],
        /// Its radius.
        radius: f64,
        /// Its color.
        color: Color,
    },
    /// Words on a base line.
    Text {
        /// The point of the anchor on the base line.
        at: [f64; 2],
        /// The words.
        text: String,
        /// Height of the letters.
        size: f64,
        /// Which end `at` is.
        anchor: Anchor,
        /// Their color.
        color: Color,
        /// Whether they run upwards.
        upwards: bool,
    },
}

/// Things on a white background, the later over the earlier.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
    /// What is drawn.
    pub items: Vec<Item>,
}

impl Drawing {
    /// Nothing yet.
    #[must_use]
    pub const fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            items: Vec::new(),
        }
    }

    /// Adds a line.
    pub fn line(&mut self, points: Vec<[f64; 2]>, color: Color, width: f64) {
        self.items.push(Item::Line {
            points,
            color,
            width,
        });
    }

    /// Adds words that run to the right.
    pub fn text(&mut self, at: [f64; 2], text: &str, size: f64, anchor: Anchor, color: Color) {
        self.items.push(Item::Text {
            at,
            text: text.to_owned(),
            size,
            anchor,
            color,
            upwards: false,
        });
    }
}
