//! `vxscope run`: mirrored traffic from the network, until interrupted.

use vxscope_engine::{Live, Mirrors};

use crate::arguments::RunArguments;
use crate::failure::Failure;
use crate::mirroring::Mirroring;
use crate::reload::Reload;
use crate::replay::{conclude, failure, tell};
use crate::report::report;
use crate::screen::Screen;
use crate::service::Service;
use crate::{configuration, signal};

/// Receives until SIGINT or SIGTERM, then prints the result.
pub(crate) fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let stop = signal::stop()?;
    let hangup = signal::hangup()?;
    let config = configuration::with_options(&arguments.options, arguments.api)?;
    let mut mirroring = Mirroring::of(&config);
    let steward = mirroring
        .as_mut()
        .map(|it| it.stewardship(Mirrors::default()))
        .transpose()?;
    let live = Live {
        config,
        address: arguments.listen.ip(),
        vxlan_port: Some(arguments.listen.port()),
        interface: arguments.interface.clone(),
        out: arguments.out.clone(),
        steward,
    };
    let reload = Reload::new(arguments, &live.config);
    let mut screen = Screen::new(&live);
    screen.serve(Service::from_environment(), hangup, reload);
    screen.watch(mirroring);
    let outcome =
        vxscope_engine::run(&live, &stop, &mut screen).map_err(|error| failure(&error))?;
    screen.stopping();
    screen.clear();
    tell(&live.config, &report(&outcome, &live.out, false))?;
    conclude(outcome)
}
