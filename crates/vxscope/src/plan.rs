//! `vxscope plan`: an inventory and strategies in, what to mirror and what it costs out.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use vxscope_policy::money::{PUBLISHED, PriceTable};
use vxscope_policy::strategy::filter::Widen;
use vxscope_policy::strategy::{
    Extent, Inventory, InventoryFile, Options, Plan, SampleSize, Sampling, plan,
};

use crate::arguments::PlanArguments;
use crate::failure::Failure;
use crate::print;

/// Longest inventory or price file: as many interfaces as one may have, a kilobyte each.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// `vxscope plan`.
pub(crate) fn run(arguments: &PlanArguments) -> Result<(), Failure> {
    let Some(inventory) = arguments.inventory.as_deref() else {
        return print(PUBLISHED);
    };
    let inventory = inventory_of(inventory)?;
    let prices = prices_of(arguments.prices.as_deref())?;
    let plan = plan(&inventory, &options(arguments), &prices);
    if arguments.json {
        let json = serde_json::to_string_pretty(&plan.view())
            .map_err(|error| Failure::Failed(format!("the plan: {error}")))?;
        return print(&format!("{json}\n"));
    }
    let mut text = format!("{plan}prices of {}\n", prices.as_of());
    if arguments.filters {
        add_filters(&mut text, &plan);
    }
    print(&text)
}

fn options(arguments: &PlanArguments) -> Options {
    Options {
        strategies: arguments.strategy.clone(),
        base: match arguments.base.as_str() {
            "none" => Extent::None,
            _ => Extent::Sentinel,
        },
        sampling: Sampling {
            size: SampleSize {
                least: arguments.sample_least as usize,
                permille: arguments.sample_percent as usize * 10,
            },
            seed: arguments.seed,
            rotation: arguments.rotation,
        },
        widen: arguments.widen.map_or(Widen::Never, Widen::Gaps),
        ..Options::default()
    }
}

fn add_filters(text: &mut String, plan: &Plan) {
    for (name, compiled) in &plan.filters {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{name}\n{}", compiled.filter);
    }
}

fn inventory_of(file: &Path) -> Result<Inventory, Failure> {
    let text = read(file)?;
    let is_json = file
        .extension()
        .is_some_and(|extension| extension == "json");
    let inventory = if is_json {
        serde_json::from_str::<InventoryFile>(&text)
            .map_err(|error| vec![error.to_string()])
            .and_then(|file| Inventory::try_new(&file))
    } else {
        Inventory::from_toml(&text)
    };
    inventory.map_err(|problems| wrong(file, &problems))
}

fn prices_of(file: Option<&Path>) -> Result<PriceTable, Failure> {
    let published = PriceTable::published()
        .map_err(|problems| Failure::Failed(format!("prices: {}", problems.join("; "))))?;
    let Some(file) = file else {
        return Ok(published);
    };
    let text = read(file)?;
    published
        .with(&text)
        .map_err(|problems| wrong(file, &problems))
}

/// Every problem on a line of its own, each with the file.
fn wrong(file: &Path, problems: &[String]) -> Failure {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {problem}", file.display()))
        .collect();
    Failure::Usage(lines.join("\nvxscope: "))
}

fn read(file: &Path) -> Result<String, Failure> {
    let failed = |what: String| Failure::Usage(format!("{}: {what}", file.display()));
    let mut text = String::new();
    File::open(file)
        .and_then(|opened| opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| failed(format!("cannot be read: {error}")))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(failed("longer than 32 MiB".to_owned()));
    }
    Ok(text)
}
