//! The kept inputs that are built here: one of each kind that a property tells apart. Those that
//! a fuzzer found stand beside them in `fuzz/seeds`.

mod capture;
mod config;
mod frame;
mod guard;
mod record;

/// Names and bytes of the inputs that are built for a property.
pub(crate) fn built(property: &str) -> Vec<(String, Vec<u8>)> {
    let seeds = match property {
        "decapsulate" => record::seeds(),
        "frame" => frame::seeds(),
        "steering" => frame::mirrored(),
        "capture_file" => capture::files(),
        "replay" => capture::conversations(),
        "config" => config::seeds(),
        "guard" => guard::seeds(),
        _ => Vec::new(),
    };
    let named = |(name, bytes): (&str, Vec<u8>)| (format!("built-{name}"), bytes);
    seeds.into_iter().map(named).collect()
}

/// A name and bytes.
type Seed = (&'static str, Vec<u8>);
