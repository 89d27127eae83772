//! Threads that recognise for all cameras: the newest frame of each, and the camera first that
//! waits for the longest time.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use keepwatch_core::jiff::Timestamp;
use keepwatch_recognition::Picture;

use super::meter::Meter;
use super::regions::Part;
use super::settings::Wanted;
use super::{Crop, Recognizer, RecognizerFactory, Sightings};
use crate::decoder::Frame;
use crate::error::{Error, Result, with_causes};
use crate::geometry::blacken;
use crate::pixels::PartReader;

/// How long to wait before a recogniser that could not be made is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// What a camera wants looked at.
pub(crate) struct Look {
    pub frame: Frame,
    pub at: Timestamp,
    /// At least one.
    pub parts: Vec<Part>,
    pub wanted: Wanted,
    /// What it was asked in: whoever asks may have lost interest.
    pub round: u64,
}

/// What became of it.
pub(crate) enum Outcome {
    /// What each part shows.
    Seen(Vec<Sightings>),
    /// A newer frame took its place, or all was stopped.
    Skipped,
    /// It could not be recognised; the log says why.
    Failed,
}

/// What became of a look.
pub(crate) struct Answer {
    pub look: Look,
    pub outcome: Outcome,
}

/// A look that waits, or is under way. It is always answered: when nothing else was said, by being
/// dropped.
struct Job {
    camera: Arc<Desk>,
    look: Option<Look>,
}

impl Job {
    fn look(&self) -> &Look {
        self.look
            .as_ref()
            .expect("it is there until it is answered")
    }

    fn answer(mut self, outcome: Outcome) {
        self.say(outcome);
    }

    fn say(&mut self, outcome: Outcome) {
        if let Some(look) = self.look.take() {
            // A camera that is gone wants no answer.
            let _ = self.camera.answers.send(Answer { look, outcome });
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.say(Outcome::Skipped);
    }
}

/// Where a camera hands its looks in.
pub(crate) struct Desk {
    id: u64,
    name: String,
    /// Parts of the picture that nobody is to see.
    masks: Vec<Vec<[f32; 2]>>,
    answers: Sender<Answer>,
}

#[derive(Default)]
struct State {
    /// At most one of each camera, the one first that waits for the longest time.
    waiting: Vec<Job>,
    /// Cameras of which a look is under way: their answers come in the order of their frames.
    busy: HashSet<u64>,
    /// Threads that have nothing to do.
    idle: usize,
    closing: bool,
}

/// What the threads of a pool and its cameras share.
#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

impl Shared {
    /// How many looks wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for looks of up to `most` cameras. None when all is over.
    fn take(&self, most: usize) -> Option<Vec<Job>> {
        let mut state = self.lock();
        state.idle += 1;
        loop {
            if state.closing {
                state.idle -= 1;
                return None;
            }
            let State {
                waiting,
                busy,
                idle,
                ..
            } = &mut *state;
            let free = waiting.iter().filter(|job| !busy.contains(&job.camera.id));
            // Threads that are idle share what there is.
            let mut left = free.count().div_ceil(*idle).min(most);
            if left > 0 {
                let jobs: Vec<Job> = waiting
                    .extract_if(.., |job| {
                        let take = left > 0 && !busy.contains(&job.camera.id);
                        left -= usize::from(take);
                        take
                    })
                    .collect();
                busy.extend(jobs.iter().map(|job| job.camera.id));
                *idle -= 1;
                return Some(jobs);
            }
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, cameras: &[u64]) {
        let mut state = self.lock();
        for camera in cameras {
            state.busy.remove(camera);
        }
        drop(state);
        // What waits may be one of theirs.
        self.work.notify_all();
    }
}

/// The threads. They end when it is dropped; what waits is not looked at any more.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    next_desk: AtomicU64,
}

impl Pool {
    /// Starts `threads` threads, each with a recogniser of its own. What they do is counted by the
    /// meter.
    ///
    /// # Errors
    /// What the factory says, so that a missing model is noticed at once.
    pub fn start(
        factory: &RecognizerFactory,
        threads: usize,
        batch: usize,
        meter: &Arc<Meter>,
    ) -> Result<Self> {
        let mut pool = Self {
            shared: Arc::default(),
            threads: Vec::new(),
            next_desk: AtomicU64::new(0),
        };
        for _ in 0..threads {
            let mut worker = Worker {
                shared: pool.shared.clone(),
                factory: factory.clone(),
                meter: meter.clone(),
                recognizer: Some(factory()?),
                retry_at: None,
                batch,
                pictures: Vec::new(),
                reader: PartReader::default(),
            };
            let thread = std::thread::Builder::new()
                .name("recognition".to_owned())
                .spawn(move || worker.run())
                .map_err(Error::thread)?;
            pool.threads.push(thread);
        }
        meter.join(Arc::downgrade(&pool.shared));
        Ok(pool)
    }

    /// A desk for one more camera, which gets its answers there.
    pub fn desk(
        self: &Arc<Self>,
        name: &str,
        masks: Vec<Vec<[f32; 2]>>,
        answers: Sender<Answer>,
    ) -> Hatch {
        let desk = Desk {
            id: self.next_desk.fetch_add(1, Ordering::Relaxed),
            name: name.to_owned(),
            masks,
            answers,
        };
        Hatch {
            pool: self.clone(),
            desk: Arc::new(desk),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closing = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("recognition has panicked");
            }
        }
    }
}

/// A camera's way to the pool.
pub(crate) struct Hatch {
    pool: Arc<Pool>,
    desk: Arc<Desk>,
}

impl Hatch {
    /// Hands a look in, in place of one of this camera that still waits. Waits for nobody.
    pub fn hand_in(&self, look: Look) {
        let job = Job {
            camera: self.desk.clone(),
            look: Some(look),
        };
        let mut state = self.pool.shared.lock();
        if state.closing {
            return;
        }
        let mut waiting = state.waiting.iter_mut();
        let old = match waiting.find(|waiting| waiting.camera.id == self.desk.id) {
            // It takes the place in the order, too.
            Some(old) => Some(std::mem::replace(old, job)),
            None => {
                state.waiting.push(job);
                None
            }
        };
        drop(state);
        drop(old);
        self.pool.shared.work.notify_one();
    }

    /// Takes back what waits.
    pub fn take_back(&self) {
        let mut state = self.pool.shared.lock();
        let mut waiting = state.waiting.iter();
        let index = waiting.position(|job| job.camera.id == self.desk.id);
        let job = index.map(|index| state.waiting.remove(index));
        drop(state);
        drop(job);
    }
}

struct Worker {
    shared: Arc<Shared>,
    factory: RecognizerFactory,
    meter: Arc<Meter>,
    /// None after a panic: nobody knows in which state that left it.
    recognizer: Option<Box<dyn Recognizer>>,
    retry_at: Option<Instant>,
    batch: usize,
    pictures: Vec<Picture>,
    reader: PartReader,
}

impl Worker {
    fn run(&mut self) {
        while let Some(jobs) = self.shared.take(self.batch) {
            let cameras: Vec<u64> = jobs.iter().map(|job| job.camera.id).collect();
            self.work(jobs);
            self.shared.done(&cameras);
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let mut ready = Vec::with_capacity(jobs.len());
        let mut used = 0;
        for job in jobs {
            match self.read(&job, used) {
                Ok(()) => {
                    used += job.look().parts.len();
                    ready.push(job);
                }
                Err(error) => {
                    tracing::warn!(camera = job.camera.name, error = %with_causes(&error), "a part of a picture");
                    job.answer(Outcome::Failed);
                }
            }
        }
        let crops = ready.iter().flat_map(|job| {
            let look = job.look();
            look.parts
                .iter()
                .map(move |_| (job.camera.name.as_str(), look))
        });
        let crops: Vec<Crop<'_>> = crops
            .zip(&self.pictures[..used])
            .map(|((camera, look), picture)| Crop {
                camera,
                view: picture.view(),
                faces: look.wanted.faces,
                plates: look.wanted.plates,
                objects: look.wanted.objects,
            })
            .collect();
        if crops.is_empty() {
            return;
        }
        let Some(recognizer) = recognizer(&mut self.recognizer, &mut self.retry_at, &self.factory)
        else {
            drop(crops);
            return ready
                .into_iter()
                .for_each(|job| job.answer(Outcome::Failed));
        };
        // What it has half done is thrown away with it.
        let begun = Instant::now();
        let seen = catch_unwind(AssertUnwindSafe(|| recognizer.recognize(&crops)));
        self.meter.run(begun.elapsed(), crops.len());
        drop(crops);
        let Ok(seen) = seen else {
            tracing::error!("a recogniser has panicked; another takes its place");
            self.recognizer = None;
            return ready
                .into_iter()
                .for_each(|job| job.answer(Outcome::Failed));
        };
        let mut seen = seen.into_iter();
        for job in ready {
            let count = job.look().parts.len();
            let parts: Vec<Result<Sightings>> = seen.by_ref().take(count).collect();
            let whole = parts.len() == count;
            let outcome = match parts.into_iter().collect::<Result<Vec<Sightings>>>() {
                Ok(sightings) if whole => Outcome::Seen(sightings),
                Ok(_) => {
                    tracing::warn!(camera = job.camera.name, "a recogniser left out pictures");
                    Outcome::Failed
                }
                Err(error) => {
                    tracing::warn!(camera = job.camera.name, error = %with_causes(&error), "a recogniser");
                    Outcome::Failed
                }
            };
            job.answer(outcome);
        }
    }

    /// Reads the parts of a look into pictures, from that of index `first` on.
    fn read(&mut self, job: &Job, first: usize) -> Result<()> {
        let look = job.look();
        let needed = first + look.parts.len();
        if self.pictures.len() < needed {
            self.pictures.resize_with(needed, Picture::default);
        }
        let (size, masks) = (look.frame.size(), &job.camera.masks);
        self.reader.begin();
        for (part, picture) in look.parts.iter().zip(&mut self.pictures[first..]) {
            self.reader.read(&look.frame, *part, picture)?;
            if !masks.is_empty() {
                blacken(masks, size, *part, picture);
            }
        }
        Ok(())
    }
}

/// The recogniser, or another one if it is gone.
fn recognizer<'a>(
    current: &'a mut Option<Box<dyn Recognizer>>,
    retry_at: &mut Option<Instant>,
    factory: &RecognizerFactory,
) -> Option<&'a mut Box<dyn Recognizer>> {
    if current.is_none() && retry_at.is_none_or(|at| Instant::now() >= at) {
        match catch_unwind(AssertUnwindSafe(|| factory())) {
            Ok(Ok(new)) => (*current, *retry_at) = (Some(new), None),
            Ok(Err(error)) => {
                tracing::error!(error = %with_causes(&error), "no recogniser");
                *retry_at = Some(Instant::now() + RETRY);
            }
            Err(_) => {
                tracing::error!("the making of a recogniser has panicked");
                *retry_at = Some(Instant::now() + RETRY);
            }
        }
    }
    current.as_mut()
}

#[cfg(test)]
mod tests;
