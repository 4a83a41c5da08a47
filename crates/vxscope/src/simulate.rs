//! `vxscope simulate`: what mirror policies cost on a fleet, and which attacks they show.

mod background;
mod jobs;
mod plots;
mod table;

use std::path::Path;
use std::sync::Arc;

use vxscope_policy::Importance;
use vxscope_policy::money::PriceTable;
use vxscope_policy::rules::{Limits, Rules};
use vxscope_trial::adversary::check_formulas;
use vxscope_trial::closed::{bounds_of, fleet_rules};
use vxscope_trial::fleet::{STANDARD, Spec};
use vxscope_trial::summary::Summary;
use vxscope_trial::world::{Real, Setup, World};

use crate::arguments::SimulateArguments;
use crate::failure::Failure;
use crate::print;

/// Runs every policy with every seed and prints what each came to.
pub(crate) fn run(arguments: &SimulateArguments) -> Result<(), Failure> {
    let real = real(arguments)?;
    let spec = match &real {
        Some(real) => real.fleet(1).spec,
        None => fleet(arguments.fleet.as_deref())?,
    };
    let rules = fleet_rules(&spec, Limits::default());
    let setup = setup(arguments, spec, &rules, real)?;
    let seeds = jobs::run(&setup, &rules, arguments.seeds);
    let mut trial = World::new(&setup).trial(group_lowered_max(&rules));
    trial.seeds = seeds.len();
    let summary = Summary::new(trial, &seeds, &check_formulas(arguments.seed));
    if let Some(folder) = &arguments.out {
        plots::write(folder, &summary, &seeds)?;
    }
    if arguments.json {
        let text = serde_json::to_string(&summary)
            .map_err(|error| Failure::Failed(format!("the result: {error}")))?;
        print(&format!("{text}\n"))
    } else {
        print(&table::table(&summary))
    }
}

/// What was recorded, if files are given.
fn real(arguments: &SimulateArguments) -> Result<Option<Real>, Failure> {
    if arguments.background.is_empty() {
        return Ok(None);
    }
    Ok(Some(Real {
        background: Arc::new(background::read(&arguments.background)?),
        importance: Importance::from_name(&arguments.importance).unwrap_or_default(),
        allow_off: arguments.allow_off,
    }))
}

fn setup(
    arguments: &SimulateArguments,
    spec: Spec,
    rules: &Rules,
    real: Option<Real>,
) -> Result<Setup, Failure> {
    Ok(Setup {
        spec,
        sources: arguments.sources,
        days: arguments.days,
        seed: arguments.seed,
        bounds: bounds_of(rules),
        prices: PriceTable::published().map_err(|errors| Failure::Failed(errors.join("\n")))?,
        real,
    })
}

fn group_lowered_max(rules: &Rules) -> f64 {
    let shares = rules.terms.iter().map(|terms| terms.group_lowered_max);
    shares.fold(1.0, f64::min)
}

fn fleet(path: Option<&Path>) -> Result<Spec, Failure> {
    let text = match path {
        None => STANDARD.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?,
    };
    Spec::parse(&text).map_err(|error| Failure::Usage(error.to_string()))
}
