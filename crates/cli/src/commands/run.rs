//! `keepwatch run`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use keepwatch_ops::service::notify::{Notifier, NotifyError, watchdog_interval};
use keepwatch_runner::scheduler::{Control, Standing, serve};
use keepwatch_runner::{Runner, Setup};
use signal_hook::consts::SIGHUP;

use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure, with_causes};
use crate::interrupt::stop_flag;
use crate::jobs::setup;
use crate::logging::LogFormat;

/// Which configuration.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How the log looks
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

impl RunArgs {
    /// How the log looks.
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }
}

/// Runs jobs by their schedules until it is stopped.
pub fn run(args: &RunArgs, context: &mut Context) -> Outcome {
    let loaded = args.config.load()?;
    for notice in &loaded.notices {
        context.out.note(notice);
    }
    let config = loaded.config;
    let scheduled = config.jobs.values();
    if scheduled.filter(|job| job.schedule.is_some()).count() == 0 {
        return Err(Failure::Usage {
            message: "no job has a schedule".to_owned(),
            hint: Some("give one a `schedule`, or run one with `keepwatch job run NAME`"),
        });
    }
    let stop = stop_flag()?;
    let hang_up = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, hang_up.clone())
        .map_err(|error| Failure::refused(format!("cannot wait for signals: {error}"), None))?;
    let surroundings = setup(&config, &context.global)?;
    let runner = Runner::new(Arc::new(config), surroundings.clone())?;
    let manager = Manager::find()?;
    let mut reload = || {
        if !hang_up.swap(false, Ordering::Relaxed) {
            return None;
        }
        manager.tell(Notifier::reloading);
        let runner = again(args, &surroundings);
        manager.tell(Notifier::ready);
        runner
    };
    let mut said: Option<Standing> = None;
    let mut fed = Instant::now();
    let mut beat = |standing: &Standing| {
        if said.is_none() {
            manager.tell(Notifier::ready);
        }
        if said.as_ref() != Some(standing) {
            tracing::info!("{standing}");
            manager.tell(|notifier| notifier.status(&standing.to_string()));
            said = Some(standing.clone());
        }
        if manager.watchdog.is_some_and(|often| fed.elapsed() >= often) {
            fed = Instant::now();
            manager.tell(Notifier::watchdog);
        }
    };
    let control = Control {
        stop,
        reload: &mut reload,
        beat: &mut beat,
    };
    let served = serve(runner, control);
    manager.tell(Notifier::stopping);
    served?;
    Ok(Code::Ok)
}

/// The service manager, if this runs under one that wants to know how it is.
struct Manager {
    notifier: Option<Notifier>,
    /// How often it wants to hear that this lives.
    watchdog: Option<Duration>,
}

impl Manager {
    fn find() -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var_os(name);
        let wrong = |error: NotifyError| {
            let hint = error.hint();
            Failure::refused(with_causes(&error), Some(hint))
        };
        let notifier = variable("NOTIFY_SOCKET").map(|address| Notifier::new(&address));
        let watchdog = watchdog_interval(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        Ok(Self {
            notifier: notifier.transpose().map_err(wrong)?,
            watchdog: watchdog.map_err(wrong)?,
        })
    }

    /// What it does not hear is no reason not to run jobs.
    fn tell(&self, what: impl FnOnce(&Notifier) -> Result<(), NotifyError>) {
        if let Some(Err(error)) = self.notifier.as_ref().map(what) {
            tracing::warn!(
                error = with_causes(&error),
                "the service manager is not told"
            );
        }
    }
}

/// A runner of the configuration as it is now; nothing if that cannot work.
fn again(args: &RunArgs, surroundings: &Setup) -> Option<Runner> {
    let read = || -> Result<Runner, Failure> {
        let config = args.config.load()?.config;
        let setup = Setup {
            // Where it is does not change while it is in use.
            state: surroundings.state.clone(),
            ..surroundings.clone()
        };
        Ok(Runner::new(Arc::new(config), setup)?)
    };
    read()
        .inspect_err(|failure| {
            let error = with_causes(failure);
            tracing::error!(error, "the configuration of before stays in force");
        })
        .ok()
}
