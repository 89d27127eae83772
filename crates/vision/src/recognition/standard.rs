//! The recogniser that Keepwatch watches with: faces by two networks and a gallery, plates by a
//! scanner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keepwatch_core::events::{PrivateStamp, Store};
use keepwatch_recognition::View;
use keepwatch_recognition::face::{Decision, FaceFinder, FoundFace, Index};
use keepwatch_recognition::plate::scan::Plate;
use keepwatch_recognition::settings::PlateScanner;
use keepwatch_recognition::store::{gallery_stamp, read_gallery};

use super::{Crop, FaceSighting, PlateSighting, Recognizer, Rules, Sightings};
use crate::error::{Result, with_causes};

/// How often it is looked whether the gallery has changed.
const LOOK: Duration = Duration::from_secs(2);

/// Who is known, from the gallery of an event store, as it is at the time.
pub struct KnownFaces {
    store: Arc<Store>,
    finder: FaceFinder,
    decision: Decision,
    index: Index,
    stamp: Option<PrivateStamp>,
    looked: Instant,
}

impl KnownFaces {
    /// Those of a store, found by `finder`.
    ///
    /// # Errors
    /// When the gallery cannot be read, or was made with another model.
    pub fn new(store: Arc<Store>, finder: FaceFinder, decision: Decision) -> Result<Self> {
        let mut known = Self {
            stamp: gallery_stamp(&store)?,
            store,
            finder,
            decision,
            index: Index::default(),
            looked: Instant::now(),
        };
        known.index = known.read()?;
        Ok(known)
    }

    fn read(&self) -> Result<Index> {
        match read_gallery(&self.store)? {
            Some(gallery) if !gallery.people().is_empty() => {
                gallery.check_model(self.finder.model())?;
                Ok(Index::new(&gallery))
            }
            _ => Ok(Index::default()),
        }
    }

    /// Takes over what has changed; what cannot be read leaves those who are known.
    fn refresh(&mut self) {
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        let changed = gallery_stamp(&self.store).map(|stamp| {
            let changed = stamp != self.stamp;
            self.stamp = stamp;
            changed
        });
        let index = match changed {
            Ok(false) => return,
            Ok(true) => self.read(),
            Err(error) => Err(error.into()),
        };
        match index {
            Ok(index) => self.index = index,
            Err(error) => {
                tracing::warn!(error = %with_causes(&error), "the gallery cannot be read anew");
            }
        }
    }

    fn see(&mut self, views: &[View<'_>]) -> Result<Vec<Vec<FaceSighting>>> {
        self.refresh();
        let found = self.finder.find_all(views)?;
        let sighting = |face: FoundFace| {
            let identity = face.embedding.as_ref().ok();
            let identity = identity.and_then(|face| self.index.identify(face, &self.decision));
            FaceSighting {
                bounds: face.detection.bounds,
                score: face.detection.score,
                quality: face.quality,
                person: identity.and_then(|identity| identity.person.map(str::to_owned)),
                similarity: identity.map(|identity| identity.similarity),
                comparable: face.embedding.is_ok(),
            }
        };
        let all = found.into_iter();
        Ok(all
            .map(|faces| faces.into_iter().map(sighting).collect())
            .collect())
    }
}

/// Recognises faces, plates, or both.
pub struct StandardRecognizer {
    faces: Option<KnownFaces>,
    plates: Option<(PlateScanner, Rules)>,
}

impl StandardRecognizer {
    /// With what there is. Of the rules, the scanner uses what plates look like.
    pub fn new(faces: Option<KnownFaces>, plates: Option<(PlateScanner, Rules)>) -> Self {
        Self { faces, plates }
    }

    fn plates(&mut self, view: View<'_>) -> Result<Vec<PlateSighting>> {
        let Some((scanner, rules)) = &mut self.plates else {
            return Ok(Vec::new());
        };
        let rules = rules.get();
        let plates = scanner.scan(view, &rules.grammar)?;
        Ok(plates.into_iter().map(sighting).collect())
    }
}

fn sighting(plate: Plate) -> PlateSighting {
    let places = plate.reading.characters.iter();
    PlateSighting {
        bounds: plate.candidate.quad.bounds(),
        quad: plate.candidate.quad,
        score: plate.candidate.score,
        // Readers give capitals and digits, and nothing to clean.
        text_clean: plate.reading.text.clone(),
        characters: places.map(|place| place[0].1).collect(),
        text_raw: plate.reading.text,
        confidence: plate.reading.confidence,
    }
}

impl Recognizer for StandardRecognizer {
    fn recognize(&mut self, crops: &[Crop<'_>]) -> Vec<Result<Sightings>> {
        let mut all: Vec<Result<Sightings>> =
            crops.iter().map(|_| Ok(Sightings::default())).collect();
        if let Some(known) = &mut self.faces {
            let wanted: Vec<usize> = (0..crops.len()).filter(|&i| crops[i].faces).collect();
            let views: Vec<View<'_>> = wanted.iter().map(|&i| crops[i].view).collect();
            match known.see(&views) {
                Ok(faces) => {
                    for (index, faces) in wanted.iter().zip(faces) {
                        if let Ok(sightings) = &mut all[*index] {
                            sightings.faces = faces;
                        }
                    }
                }
                Err(error) => {
                    // All of them were computed together.
                    let text = with_causes(&error);
                    for index in wanted {
                        let problem = text.clone();
                        let error = keepwatch_recognition::Error::Inference { problem };
                        all[index] = Err(error.into());
                    }
                }
            }
        }
        for (crop, sightings) in crops.iter().zip(&mut all) {
            if !crop.plates {
                continue;
            }
            if let Ok(seen) = sightings {
                match self.plates(crop.view) {
                    Ok(plates) => seen.plates = plates,
                    Err(error) => *sightings = Err(error),
                }
            }
        }
        all
    }
}
