//! From settings to what recognises.

use std::sync::Arc;
use std::time::Instant;

use keepwatch_core::events::Store;
use keepwatch_recognition::infer::{Engine, Model};
use keepwatch_recognition::plate::grammar::Grammar;
use keepwatch_recognition::plate::list::ListFiles;
use keepwatch_recognition::settings::{FaceSettings, Models, ObjectSettings, PlateSettings};

use super::{
    KnownFaces, PlateRules, Recognition, RecognitionSettings, Recognizer, RecognizerFactory, Rules,
    StandardRecognizer,
};
use crate::error::Result;

/// What is recognised, with what: as the configuration has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanSettings {
    /// How what cameras see is looked at.
    pub recognition: RecognitionSettings,
    /// How faces are recognised.
    pub faces: FaceSettings,
    /// How plates are; none are without it.
    pub plates: Option<PlateSettings>,
    /// Which objects are.
    pub objects: ObjectSettings,
    /// The networks.
    pub models: Models,
}

/// What is to be recognised, and with what, when cameras are watched.
pub struct Plan {
    settings: PlanSettings,
    engine: Engine,
    rules: Rules,
}

impl Plan {
    /// What the settings ask for: faces and objects when their models are named, plates when there
    /// are settings of them; none when nothing is to be recognised. Models and lists are read, so
    /// that what cannot work is said before anything is watched. `engine` is what computes.
    ///
    /// # Errors
    /// For settings that cannot work, and models and lists that cannot be read.
    pub fn new(
        mut settings: PlanSettings,
        engine: impl FnOnce() -> keepwatch_recognition::Result<Engine>,
    ) -> Result<Option<(Self, Option<PlateFiles>)>> {
        let recognition = &mut settings.recognition;
        recognition.validate()?;
        recognition.faces &= settings.models.has_faces();
        settings.plates = settings.plates.filter(|_| recognition.plates);
        recognition.plates = settings.plates.is_some();
        recognition.objects &= settings.models.object_detector.is_some();
        if !recognition.faces && !recognition.plates && !recognition.objects {
            return Ok(None);
        }
        let rules = Rules::default();
        let plates = settings.plates.as_ref();
        let files = plates.map(|plates| PlateFiles::open(plates, rules.clone()));
        let files = files.transpose()?;
        let plan = Self {
            settings,
            engine: engine()?,
            rules,
        };
        plan.check()?;
        Ok(Some((plan, files)))
    }

    /// Makes the networks ready once, so that what does not fit is said before anything is done.
    fn check(&self) -> Result<()> {
        let settings = &self.settings;
        if settings.recognition.faces {
            settings.faces.finder(&settings.models, &self.engine)?;
        }
        if settings.recognition.objects {
            settings.objects.finder(&settings.models, &self.engine)?;
        }
        if let Some(plates) = &settings.plates {
            plates.scanner(&settings.models, &self.engine)?;
        }
        // Whatever is named must be there, also what is not used now.
        for (_, file) in settings.models.iter() {
            Model::read(&file.path, file.sha256)?;
        }
        Ok(())
    }

    /// What is recognised, and with what, in words.
    pub fn describe(&self) -> String {
        let recognition = &self.settings.recognition;
        let all = [
            (recognition.faces, "faces"),
            (recognition.plates, "plates"),
            (recognition.objects, "objects"),
        ];
        let names = all.iter().filter_map(|(is, name)| is.then_some(*name));
        let names: Vec<&str> = names.collect();
        let what = match names.as_slice() {
            [first, second, third] => format!("{first}, {second} and {third}"),
            names => names.join(" and "),
        };
        format!("{what} with {}", self.engine.describe())
    }

    /// For the people of an event store.
    pub fn with(self, store: &Arc<Store>) -> Recognition {
        let (settings, rules) = (self.settings.recognition.clone(), self.rules.clone());
        let store = store.clone();
        let recognizer: RecognizerFactory = Arc::new(move || self.recognizer(&store));
        Recognition {
            settings,
            recognizer,
            rules,
        }
    }

    fn recognizer(&self, store: &Arc<Store>) -> Result<Box<dyn Recognizer>> {
        let settings = &self.settings;
        let known = match settings.recognition.faces {
            true => {
                let finder = settings.faces.finder(&settings.models, &self.engine)?;
                let decision = settings.faces.decision(finder.model());
                Some(KnownFaces::new(store.clone(), finder, decision)?)
            }
            false => None,
        };
        let scanner = match &settings.plates {
            Some(plates) => {
                let scanner = plates.scanner(&settings.models, &self.engine)?;
                Some((scanner, self.rules.clone()))
            }
            None => None,
        };
        let objects = match settings.recognition.objects {
            true => Some(settings.objects.finder(&settings.models, &self.engine)?),
            false => None,
        };
        Ok(Box::new(StandardRecognizer::new(known, scanner, objects)))
    }
}

/// The lists of plates, read again when they change.
pub struct PlateFiles {
    files: ListFiles,
    grammar: Grammar,
    rules: Rules,
    started: Instant,
}

impl PlateFiles {
    fn open(settings: &PlateSettings, rules: Rules) -> Result<Self> {
        settings.validate()?;
        let files = Self {
            files: settings.lists()?,
            grammar: settings.grammar()?,
            rules,
            started: Instant::now(),
        };
        files.rules.set(files.in_force());
        Ok(files)
    }

    /// What is odd in the lists, in words.
    pub fn odd(&self) -> Vec<String> {
        self.files.odd()
    }

    /// Reads again what has changed. Gives what is to be said of it, without a plate; mostly
    /// nothing.
    pub fn refresh(&mut self) -> Vec<String> {
        let changes = self.files.check(self.started.elapsed());
        if changes.is_empty() {
            return Vec::new();
        }
        self.rules.set(self.in_force());
        let changes = changes.iter();
        let mut said: Vec<String> = changes
            .map(|(list, change)| change.describe(*list))
            .collect();
        said.extend(self.odd());
        said
    }

    fn in_force(&self) -> PlateRules {
        PlateRules {
            grammar: self.grammar.clone(),
            lists: self.files.lists().clone(),
        }
    }
}
