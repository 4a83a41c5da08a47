//! The charts of a trial as files.

use std::fs;
use std::path::Path;

use vxscope_trial::charts::charts;
use vxscope_trial::policies::DYNAMIC;
use vxscope_trial::summary::Summary;
use vxscope_trial::tally::Tally;

use crate::failure::Failure;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 480.0;

/// Writes each chart as SVG and PNG; those of one run are of the first seed.
pub(super) fn write(folder: &Path, summary: &Summary, seeds: &[Vec<Tally>]) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    let first = seeds.first().into_iter().flatten();
    let dynamic = first.into_iter().find(|tally| tally.name == DYNAMIC);
    for (name, chart) in charts(summary, dynamic) {
        let drawing = chart.draw(WIDTH, HEIGHT);
        for (end, bytes) in [("svg", drawing.svg().into_bytes()), ("png", drawing.png())] {
            let path = folder.join(format!("{name}.{end}"));
            fs::write(&path, bytes).map_err(|error| cannot(&path, &error))?;
        }
    }
    Ok(())
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{}: cannot be written: {error}", path.display()))
}
