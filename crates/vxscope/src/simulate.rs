//! `vxscope simulate`: what mirror policies cost on a fleet, and which attacks they show.

mod table;

use std::path::Path;

use vxscope_policy::money::PriceTable;
use vxscope_trial::bound::Bounds;
use vxscope_trial::fleet::{STANDARD, Spec};
use vxscope_trial::outcome::{self, FIXED, MATCHED, Outcome};
use vxscope_trial::summary::Summary;
use vxscope_trial::world::{Setup, World};

use crate::arguments::SimulateArguments;
use crate::failure::Failure;
use crate::print;

/// Runs every policy in one world and prints what each came to.
pub(crate) fn run(arguments: &SimulateArguments) -> Result<(), Failure> {
    let world = World::new(&setup(arguments)?);
    let outcomes = outcomes(&world);
    let summary = Summary::new(&world, &outcomes);
    if arguments.json {
        let text = serde_json::to_string(&summary)
            .map_err(|error| Failure::Failed(format!("the result: {error}")))?;
        print(&format!("{text}\n"))
    } else {
        print(&table::table(&summary))
    }
}

fn setup(arguments: &SimulateArguments) -> Result<Setup, Failure> {
    Ok(Setup {
        spec: fleet(arguments.fleet.as_deref())?,
        sources: arguments.sources,
        days: arguments.days,
        seed: arguments.seed,
        bounds: Bounds::of_guard(),
        prices: PriceTable::published().map_err(|errors| Failure::Failed(errors.join("\n")))?,
    })
}

fn fleet(path: Option<&Path>) -> Result<Spec, Failure> {
    let text = match path {
        None => STANDARD.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?,
    };
    Spec::parse(&text).map_err(|error| Failure::Usage(error.to_string()))
}

fn outcomes(world: &World) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = FIXED
        .iter()
        .map(|name| outcome::fixed(name, world))
        .collect();
    let budget = outcomes[0].cost.usd * 0.7;
    outcomes.extend(
        MATCHED
            .iter()
            .map(|name| outcome::matched(name, world, budget)),
    );
    outcomes
}
