//! Faces, plates and objects while cameras are watched.

use std::sync::Arc;
use std::time::Instant;

use keepwatch_config::Config;
use keepwatch_core::events::Store;
use keepwatch_recognition::infer::{Engine, Model};
use keepwatch_recognition::plate::grammar::Grammar;
use keepwatch_recognition::plate::list::{ListChange, ListFiles, ListKind};
use keepwatch_recognition::settings::{FaceSettings, Models, ObjectSettings, PlateSettings};
use keepwatch_vision::Result as VisionResult;
use keepwatch_vision::recognition::{
    KnownFaces, PlateRules, Recognition, RecognitionSettings, Recognizer, RecognizerFactory, Rules,
    StandardRecognizer,
};

use crate::commands::{Context, plate};
use crate::exit::{Failure, with_causes};
use crate::networks;

/// The lists of plates, read again when they change.
pub struct Lists {
    files: ListFiles,
    grammar: Grammar,
    rules: Rules,
    started: Instant,
}

impl Lists {
    /// Reads again what has changed. Gives what is to be said of it; mostly nothing.
    pub fn refresh(&mut self) -> Vec<String> {
        let changes = self.files.check(self.started.elapsed());
        if changes.is_empty() {
            return Vec::new();
        }
        self.rules.set(self.in_force());
        let text = |(list, change): (ListKind, ListChange)| match change {
            ListChange::Reloaded { plates } => {
                format!("the {} list has {plates} plates now", list.name())
            }
            ListChange::Broken(error) => format!(
                "the {} list stays as it was: {}",
                list.name(),
                with_causes(&error)
            ),
        };
        let mut said: Vec<String> = changes.into_iter().map(text).collect();
        said.extend(plate::odd(&self.files));
        said
    }

    fn in_force(&self) -> PlateRules {
        PlateRules {
            grammar: self.grammar.clone(),
            lists: self.files.lists().clone(),
        }
    }
}

/// What is to be recognised, and with what.
pub struct Plan {
    settings: RecognitionSettings,
    faces: FaceSettings,
    plates: Option<PlateSettings>,
    objects: ObjectSettings,
    models: Models,
    engine: Engine,
    rules: Rules,
}

/// What recognises, if anything is to be recognised: faces and objects when their models are named,
/// plates when there are settings of them. Models and lists are read, so that what cannot work is said at once.
pub fn plan(
    config: &Config,
    plates: Option<PlateSettings>,
    context: &mut Context,
) -> Result<Option<(Plan, Option<Lists>)>, Failure> {
    let mut settings = config.recognition.clone();
    settings.faces &= config.models.has_faces();
    let plates = plates.filter(|_| settings.plates);
    settings.plates = plates.is_some();
    settings.objects &= config.models.object_detector.is_some();
    if !settings.faces && !settings.plates && !settings.objects {
        return Ok(None);
    }
    let rules = Rules::default();
    let lists = match &plates {
        Some(plates) => {
            plates.validate()?;
            let lists = Lists {
                files: plates.lists()?,
                grammar: plates.grammar()?,
                rules: rules.clone(),
                started: Instant::now(),
            };
            for text in plate::odd(&lists.files) {
                context.out.note(text);
            }
            rules.set(lists.in_force());
            Some(lists)
        }
        None => None,
    };
    let engine = networks::engine(config)?;
    context.out.note(format_args!(
        "recognising {} with {}",
        what(&settings),
        networks::describe(&engine)
    ));
    let plan = Plan {
        settings,
        faces: config.faces.clone(),
        plates,
        objects: config.objects.clone(),
        models: config.models.clone(),
        engine,
        rules,
    };
    plan.check(config)?;
    Ok(Some((plan, lists)))
}

impl Plan {
    /// Makes the networks ready once, so that what does not fit is said before anything is done.
    fn check(&self, config: &Config) -> Result<(), Failure> {
        if self.settings.faces {
            self.faces.finder(&self.models, &self.engine)?;
        }
        if self.settings.objects {
            self.objects.finder(&self.models, &self.engine)?;
        }
        if let Some(plates) = &self.plates {
            plates.scanner(&self.models, &self.engine)?;
        }
        // Whatever is named must be there, also what is not used now.
        for (_, file) in config.models.iter() {
            Model::read(&file.path, file.sha256)?;
        }
        Ok(())
    }

    /// For the people of an event store.
    pub fn with(self, store: &Arc<Store>) -> Recognition {
        let (settings, rules) = (self.settings.clone(), self.rules.clone());
        let store = store.clone();
        let recognizer: RecognizerFactory = Arc::new(move || self.recognizer(&store));
        Recognition {
            settings,
            recognizer,
            rules,
        }
    }

    fn recognizer(&self, store: &Arc<Store>) -> VisionResult<Box<dyn Recognizer>> {
        let known = match self.settings.faces {
            true => {
                let finder = self.faces.finder(&self.models, &self.engine)?;
                let decision = self.faces.decision(finder.model());
                Some(KnownFaces::new(store.clone(), finder, decision)?)
            }
            false => None,
        };
        let scanner = match &self.plates {
            Some(plates) => {
                let scanner = plates.scanner(&self.models, &self.engine)?;
                Some((scanner, self.rules.clone()))
            }
            None => None,
        };
        let objects = match self.settings.objects {
            true => Some(self.objects.finder(&self.models, &self.engine)?),
            false => None,
        };
        Ok(Box::new(StandardRecognizer::new(known, scanner, objects)))
    }
}

/// What is recognised, in words.
fn what(settings: &RecognitionSettings) -> String {
    let all = [
        (settings.faces, "faces"),
        (settings.plates, "plates"),
        (settings.objects, "objects"),
    ];
    let names: Vec<&str> = all
        .iter()
        .filter_map(|(is, name)| is.then_some(*name))
        .collect();
    match names.as_slice() {
        [first, second, third] => format!("{first}, {second} and {third}"),
        names => names.join(" and "),
    }
}
