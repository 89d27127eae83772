//! The recogniser that Keepwatch watches with: faces by two networks and a gallery, plates by a
//! scanner, objects by a network.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keepwatch_core::events::{PrivateStamp, Store};
use keepwatch_recognition::View;
use keepwatch_recognition::face::{Decision, FaceFinder, FoundFace, Index};
use keepwatch_recognition::object::{FoundObject, ObjectFinder};
use keepwatch_recognition::plate::scan::Plate;
use keepwatch_recognition::settings::PlateScanner;
use keepwatch_recognition::store::{gallery_stamp, read_index};

use super::{Crop, FaceSighting, ObjectSighting, PlateSighting, Recognizer, Rules, Sightings};
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
        Ok(read_index(&self.store, self.finder.model())?)
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

/// Recognises faces, plates, objects, or all of them.
#[derive(Default)]
pub struct StandardRecognizer {
    faces: Option<KnownFaces>,
    plates: Option<(PlateScanner, Rules)>,
    objects: Option<ObjectFinder>,
}

impl StandardRecognizer {
    /// With what there is. Of the rules, the scanner uses what plates look like.
    pub fn new(
        faces: Option<KnownFaces>,
        plates: Option<(PlateScanner, Rules)>,
        objects: Option<ObjectFinder>,
    ) -> Self {
        Self {
            faces,
            plates,
            objects,
        }
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
        // Readers give capitals and digits, and nothing to clean; what the grammar makes of them is for
        // all readings together.
        text_clean: plate.substituted,
        characters: places.map(|place| place[0].1).collect(),
        text_raw: plate.reading.text,
        confidence: plate.reading.confidence,
    }
}

fn object(found: FoundObject) -> ObjectSighting {
    ObjectSighting {
        bounds: found.bounds,
        score: found.score,
        label: found.label,
    }
}

impl Recognizer for StandardRecognizer {
    fn recognize(&mut self, crops: &[Crop<'_>]) -> Vec<Result<Sightings>> {
        let mut all: Vec<Result<Sightings>> =
            crops.iter().map(|_| Ok(Sightings::default())).collect();
        if let Some(known) = &mut self.faces {
            let faces = |views: &[View<'_>]| known.see(views);
            let put = |sightings: &mut Sightings, faces| sightings.faces = faces;
            together(crops, |crop| crop.faces, faces, put, &mut all);
        }
        if let Some(finder) = &mut self.objects {
            let objects = |views: &[View<'_>]| Ok(finder.find_all(views)?);
            let put = |sightings: &mut Sightings, objects: Vec<FoundObject>| {
                sightings.objects = objects.into_iter().map(object).collect();
            };
            together(crops, |crop| crop.objects, objects, put, &mut all);
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

/// Computes the crops that are wanted together, and puts what is found in each where it belongs.
fn together<T>(
    crops: &[Crop<'_>],
    is_wanted: impl Fn(&Crop<'_>) -> bool,
    see: impl FnOnce(&[View<'_>]) -> Result<Vec<T>>,
    put: impl Fn(&mut Sightings, T),
    all: &mut [Result<Sightings>],
) {
    let wanted: Vec<usize> = (0..crops.len()).filter(|&i| is_wanted(&crops[i])).collect();
    let views: Vec<View<'_>> = wanted.iter().map(|&i| crops[i].view).collect();
    if views.is_empty() {
        return;
    }
    match see(&views) {
        Ok(found) => {
            for (index, found) in wanted.into_iter().zip(found) {
                if let Ok(sightings) = &mut all[index] {
                    put(sightings, found);
                }
            }
        }
        Err(error) => {
            // All of them were computed together.
            let text = with_causes(&error);
            for index in wanted {
                let problem = text.clone();
                all[index] = Err(keepwatch_recognition::Error::Inference { problem }.into());
            }
        }
    }
}
