//! `vxscope run`: mirrored traffic from the network, until interrupted.

use vxscope_config::{Config, LogFormat};
use vxscope_engine::{Live, Mirrors, Observer};
use vxscope_log::Format;

use crate::arguments::RunArguments;
use crate::failure::Failure;
use crate::mirroring::Mirroring;
use crate::replay::{conclude, failure, tell};
use crate::report::report;
use crate::screen::Screen;
use crate::service::Service;
use crate::{configuration, confine, reload, signal};

/// What is logged if nobody asks for more or less.
pub(crate) const LOGGED: &str = "warn,vxscope::run=info";

/// Receives until SIGINT or SIGTERM, then prints the result.
pub(crate) fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let config = configuration::with_options(&arguments.options, arguments.api)?;
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    vxscope_log::start(format, LOGGED);
    match receive(arguments, config) {
        Err(failure) if format == Format::Json => {
            tracing::error!(target: "vxscope::run", "{}", failure.to_string().trim_end());
            Err(Failure::Logged)
        }
        ended => ended,
    }
}

fn receive(arguments: &RunArguments, config: Config) -> Result<(), Failure> {
    let certificates = configuration::certificates(&config)?;
    // Before there is a second thread: each is confined as the one that started it.
    let open = match config.security.confine {
        true => confine::confine(&config, &arguments.out)?,
        false => None,
    };
    let stop = signal::stop()?;
    let hangup = signal::hangup()?;
    let mut mirroring = Mirroring::of(&config);
    let steward = mirroring
        .as_mut()
        .map(|it| it.stewardship(Mirrors::default()))
        .transpose()?;
    let live = Live {
        reread: Some(reload::reread(arguments, &config, certificates.clone())),
        certificates,
        config,
        address: arguments.listen.ip(),
        vxlan_port: Some(arguments.listen.port()),
        interface: arguments.interface.clone(),
        out: arguments.out.clone(),
        steward,
    };
    let mut screen = Screen::new(&live);
    screen.serve(Service::from_environment(), hangup);
    open.iter().for_each(|open| screen.handle_warning(open));
    screen.watch(mirroring);
    let outcome =
        vxscope_engine::run(&live, &stop, &mut screen).map_err(|error| failure(&error))?;
    screen.stopping();
    screen.clear();
    tell(&live.config, &report(&outcome, &live.out, false))?;
    conclude(outcome)
}
