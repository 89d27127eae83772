//! Faces, plates and objects while cameras are watched.

use keepwatch_config::Config;
use keepwatch_recognition::settings::PlateSettings;
use keepwatch_vision::recognition::{Plan, PlanSettings, PlateFiles};

use crate::commands::Context;
use crate::exit::Failure;
use crate::networks;

/// What recognises, if anything is to be recognised.
pub fn plan(
    config: &Config,
    plates: Option<PlateSettings>,
    context: &mut Context,
) -> Result<Option<(Plan, Option<PlateFiles>)>, Failure> {
    let settings = PlanSettings {
        plates,
        ..config.plan()
    };
    let Some((plan, lists)) = Plan::new(settings, || networks::of(config))? else {
        return Ok(None);
    };
    for text in lists.iter().flat_map(PlateFiles::odd) {
        context.out.note(text);
    }
    context
        .out
        .note(format_args!("recognising {}", plan.describe()));
    Ok(Some((plan, lists)))
}
