//! `vxscope run`: mirrored traffic from the network, until interrupted.

use vxscope_config::{Config, LogFormat};
use vxscope_engine::{Live, Mirrors, Observer};
use vxscope_log::{Format, TOLD};

use crate::arguments::RunArguments;
use crate::banner::log_end;
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
            tracing::error!(target: TOLD, "{}", failure.to_string().trim_end());
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
    let open = open.into_iter().chain(in_the_clear(&live.config));
    open.for_each(|open| screen.handle_warning(&open));
    screen.watch(mirroring);
    let outcome =
        vxscope_engine::run(&live, &stop, &mut screen).map_err(|error| failure(&error))?;
    screen.stopping();
    screen.clear();
    match live.config.log.format {
        LogFormat::Json => log_end(&outcome, &live.out),
        LogFormat::Text => tell(&live.config, &report(&outcome, &live.out, false))?,
    }
    conclude(outcome)
}

/// What is sent as it is where others may read it.
fn in_the_clear(config: &Config) -> Option<String> {
    let address = config.api.listen.filter(|it| !it.ip().is_loopback())?;
    config.api.tls_certificate.is_empty().then(|| {
        format!(
            "{address} can be reached from other machines and speaks no TLS: tokens are sent as \
             they are; name api.tls_certificate, or listen on loopback behind a proxy"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_others_can_read_on_their_way_are_warned_of() {
        let exposed = "exposed = true\ntokens = 't'\n";
        let encrypted = format!("{exposed}tls_certificate = 'a'\ntls_key = 'b'\n");
        for (listen, more, warns) in [
            ("10.0.0.1:1", exposed, true),
            ("[::]:1", exposed, true),
            ("10.0.0.1:1", &encrypted, false),
            ("127.0.0.1:1", exposed, false),
            ("[::1]:1", "", false),
        ] {
            let text = format!("[api]\nlisten = '{listen}'\n{more}");
            let config = Config::parse(&text).unwrap();
            assert_eq!(in_the_clear(&config).is_some(), warns, "{text}");
        }
        assert_eq!(in_the_clear(&Config::default()), None);
    }
}
