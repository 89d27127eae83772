//! What a camera does, and does wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use super::auth::Auth;
use super::footage::{Film, Footage};
use super::sdp;

/// Where in a session a camera is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The connection was just made.
    Connect,
    /// `OPTIONS` was asked.
    Options,
    /// `DESCRIBE` was asked.
    Describe,
    /// `SETUP` was asked.
    Setup,
    /// `PLAY` was asked.
    Play,
    /// A sign of life was asked for, while playing.
    KeepAlive,
}

/// How a camera answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not at all, and nothing after it either.
    Nothing,
    /// With this status.
    Status(u16),
    /// With these bytes.
    Bytes(Vec<u8>),
    /// By closing the connection.
    Close,
    /// By resetting it.
    Reset,
    /// Rightly, one byte after the other with this time between them.
    Trickle(Duration),
}

/// What happens to a stream while it runs.
#[derive(Clone, Debug)]
pub enum Act {
    /// No picture any more; requests are answered.
    Freeze,
    /// Nothing is sent any more and nothing is read, and the connection stays.
    Deaf,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
    /// Bytes that mean nothing go out between the packets.
    Noise,
    /// Packets hold random bytes from here on.
    Scramble,
    /// This share of packets is lost from here on.
    Lose(f64),
    /// The clock of the packets jumps by so many seconds.
    ClockJump(i32),
    /// The sender calls itself by another number, and counts packets anew.
    NewSender,
    /// Something else is shown from here on.
    Show(Footage),
    /// No key frame is sent from here on.
    NoKeyFrames,
    /// So much time lies between frames from here on.
    Slow(Duration),
}

/// What a camera does, and does wrong. The default does nothing wrong.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// What it shows.
    pub footage: Footage,
    /// Who may look; none for everybody.
    pub auth: Option<Auth>,
    /// The session description, if it is not that of the footage.
    pub sdp: Option<String>,
    /// Wrong answers.
    pub answers: BTreeMap<Stage, Answer>,
    /// What happens at which frame of each session.
    pub acts: Vec<(u64, Act)>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::showing(&Film::default())
    }
}

impl Behaviour {
    /// Shows a film, and does nothing wrong.
    pub fn showing(film: &Film) -> Self {
        Self {
            footage: Footage::encode(film),
            auth: None,
            sdp: None,
            answers: BTreeMap::new(),
            acts: Vec::new(),
        }
    }

    /// Asks for user and password.
    #[must_use]
    pub fn for_user(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Answers so at that stage.
    #[must_use]
    pub fn answering(mut self, stage: Stage, answer: Answer) -> Self {
        self.answers.insert(stage, answer);
        self
    }

    /// Does so at that frame of each session.
    #[must_use]
    pub fn doing(mut self, frame: u64, act: Act) -> Self {
        self.acts.push((frame, act));
        self
    }

    /// Describes the session so.
    #[must_use]
    pub fn describing(mut self, sdp: impl Into<String>) -> Self {
        self.sdp = Some(sdp.into());
        self
    }

    /// Offers sound before the picture.
    #[must_use]
    pub fn with_sound(self) -> Self {
        let sdp = sdp::with_sound(&self.footage);
        self.describing(sdp)
    }

    /// Offers sound, and no picture.
    #[must_use]
    pub fn with_sound_alone(self) -> Self {
        self.describing(sdp::only_sound())
    }

    /// The session description.
    pub(crate) fn description(&self) -> String {
        self.sdp.clone().unwrap_or_else(|| sdp::of(&self.footage))
    }
}
