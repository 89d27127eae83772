//! How one camera is watched.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::geometry::check_polygon;
use crate::motion::MotionSettings;
use crate::recognition::Recognize;
use crate::url::{CameraUrl, Scheme};

/// The longest pre-roll: it is held in memory.
pub const MAX_PRE_ROLL: Duration = Duration::from_secs(60);

/// How RTP packets travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Inside the RTSP connection: nothing is lost or reordered.
    #[default]
    Tcp,
    /// As datagrams.
    Udp,
}

/// What is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// A clip for each event of motion.
    #[default]
    Events,
    /// Everything, in segments of a minute, and a clip for each event of motion.
    Continuous,
    /// Nothing but pictures.
    Off,
}

/// Which frames are decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// Key frames.
    Keyframes,
    /// Key frames while nothing happens, all once something moves.
    #[default]
    Adaptive,
    /// All.
    All,
    /// None: everything is recorded, and nothing is looked for.
    None,
}

/// How the certificate of an `rtsps` or `https` camera is judged.
///
/// From the first such camera on, GIO's default database of certificates trusts nobody in the whole
/// process: a program that uses GIO's TLS itself has to name its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Tls {
    /// By the system's certificate authorities.
    #[default]
    System,
    /// By the authorities in this PEM file alone, which may be the camera's own certificate. It has
    /// to be for the name or address by which the camera is reached, and in force.
    CaFile(std::path::PathBuf),
    /// By the SHA-256 of the certificate (DER), in hexadecimal, whatever it says: cameras sign their
    /// own, for no name that they are reached by. For `rtsps` only.
    Sha256(#[serde(with = "hex::serde")] [u8; 32]),
}

/// How one camera is watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraSettings {
    /// Where the pictures come from.
    pub url: CameraUrl,
    /// How RTP packets travel.
    #[serde(default)]
    pub transport: Transport,
    /// How its certificate is judged.
    #[serde(default)]
    pub tls: Tls,
    /// How long a camera may send nothing before it counts as offline.
    #[serde(default = "default_read_timeout", with = "duration_text")]
    pub read_timeout: Duration,
    /// The wait before the first attempt to reach it again, doubled with each further one.
    #[serde(default = "default_retry_first", with = "duration_text")]
    pub retry_first: Duration,
    /// The longest wait. A camera that refuses the password is asked ten times more rarely.
    #[serde(default = "default_retry_longest", with = "duration_text")]
    pub retry_longest: Duration,
    /// Which frames are decoded.
    #[serde(default)]
    pub decode: Decode,
    /// How many frames a second are analysed at most.
    #[serde(default = "default_fps_target")]
    pub fps_target: f32,
    /// The largest width and height of the picture that is analysed.
    #[serde(default = "default_analysis_size")]
    pub analysis_size: [u32; 2],
    /// What is recorded.
    #[serde(default)]
    pub record: Record,
    /// How much before an event a clip shows at least.
    #[serde(default = "default_pre_roll", with = "duration_text")]
    pub pre_roll: Duration,
    /// How much after it.
    #[serde(default = "default_post_roll", with = "duration_text")]
    pub post_roll: Duration,
    /// The longest clip; a longer event goes on in another.
    #[serde(default = "default_max_clip", with = "duration_text")]
    pub max_clip: Duration,
    /// What counts as motion.
    #[serde(default)]
    pub motion: MotionSettings,
    /// Parts of the picture that are blackened in snapshots, as polygons of points from 0 to 1.
    #[serde(default)]
    pub privacy_masks: Vec<Vec<[f32; 2]>>,
    /// Whether faces and plates are recognised, other than for all cameras.
    #[serde(default, skip_serializing_if = "Recognize::is_default")]
    pub recognize: Recognize,
    /// Files play in real time; otherwise as fast as they can be read.
    #[serde(default)]
    pub realtime: bool,
}

impl CameraSettings {
    /// The defaults for a camera at `url`.
    pub fn new(url: CameraUrl) -> Self {
        Self {
            url,
            transport: Transport::default(),
            tls: Tls::default(),
            read_timeout: default_read_timeout(),
            retry_first: default_retry_first(),
            retry_longest: default_retry_longest(),
            decode: Decode::default(),
            fps_target: default_fps_target(),
            analysis_size: default_analysis_size(),
            record: Record::default(),
            pre_roll: default_pre_roll(),
            post_roll: default_post_roll(),
            max_clip: default_max_clip(),
            motion: MotionSettings::default(),
            privacy_masks: Vec::new(),
            recognize: Recognize::default(),
            realtime: false,
        }
    }

    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first of them.
    pub fn validate(&self) -> Result<()> {
        let bad = |name: &'static str, problem: String| Err(Error::Setting { name, problem });
        let second = Duration::from_secs(1);
        if self.read_timeout < second || self.read_timeout > 600 * second {
            return bad("read_timeout", "it must be 1 s to 10 min".to_owned());
        }
        if !(0.1..=60.0).contains(&self.fps_target) {
            return bad("fps_target", "it must be 0.1 to 60".to_owned());
        }
        let [width, height] = self.analysis_size;
        if !(64..=1920).contains(&width) || !(36..=1080).contains(&height) {
            return bad("analysis_size", "it must be 64x36 to 1920x1080".to_owned());
        }
        if self.pre_roll > MAX_PRE_ROLL {
            return bad("pre_roll", format!("it must be at most {MAX_PRE_ROLL:?}"));
        }
        if self.post_roll > 600 * second {
            return bad("post_roll", "it must be at most 10 min".to_owned());
        }
        if self.max_clip < 10 * second || self.max_clip > 3600 * second {
            return bad("max_clip", "it must be 10 s to 1 h".to_owned());
        }
        let tenth = second / 10;
        if self.retry_first < tenth || self.retry_longest < self.retry_first {
            return bad(
                "retry_first",
                "it must be 0.1 s or more, and no longer than retry_longest".to_owned(),
            );
        }
        if self.decode == Decode::None && self.record != Record::Continuous {
            return bad(
                "decode",
                "with none, only record = \"continuous\" records anything".to_owned(),
            );
        }
        for mask in &self.privacy_masks {
            check_polygon("privacy_masks", mask)?;
        }
        self.check_tls()?;
        self.motion.validate()
    }

    /// Nobody is to believe in a protection that is not there.
    fn check_tls(&self) -> Result<()> {
        let bad = |name: &'static str, problem: &str| {
            let problem = problem.to_owned();
            Err(Error::Setting { name, problem })
        };
        match (self.url.scheme(), &self.tls) {
            (Scheme::Rtsps, _) if self.transport == Transport::Udp => bad(
                "transport",
                "by udp the pictures of rtsps would come in clear",
            ),
            (Scheme::Https, Tls::Sha256(_)) => bad(
                "tls",
                "sha256 is for rtsps only; use ca_file with the camera's own certificate",
            ),
            (_, Tls::System) | (Scheme::Rtsps | Scheme::Https, _) => Ok(()),
            _ => bad("tls", "the address is none of rtsps or https"),
        }
    }
}

fn default_read_timeout() -> Duration {
    Duration::from_secs(5)
}

fn default_retry_first() -> Duration {
    Duration::from_millis(500)
}

fn default_retry_longest() -> Duration {
    Duration::from_secs(30)
}

fn default_fps_target() -> f32 {
    10.0
}

fn default_analysis_size() -> [u32; 2] {
    [640, 360]
}

fn default_pre_roll() -> Duration {
    Duration::from_secs(5)
}

fn default_post_roll() -> Duration {
    Duration::from_secs(5)
}

fn default_max_clip() -> Duration {
    Duration::from_secs(300)
}

/// Durations as people write them: `"5s"`, `"1m 30s"`, or a number of seconds.
pub mod duration_text {
    use std::time::Duration;

    use keepwatch_core::jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Seconds(f64),
        Text(String),
    }

    /// Writes it as `"5s"`.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize<S: Serializer>(duration: &Duration, out: S) -> Result<S::Ok, S::Error> {
        let signed = SignedDuration::try_from(*duration).unwrap_or(SignedDuration::MAX);
        out.collect_str(&format_args!("{signed:#}"))
    }

    /// Reads either form.
    ///
    /// # Errors
    /// When it is neither, or negative.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        let bad = |text: &str| D::Error::custom(format!("{text:?} is no duration such as \"5s\""));
        match Text::deserialize(input)? {
            Text::Seconds(seconds) => {
                Duration::try_from_secs_f64(seconds).map_err(|_| bad(&seconds.to_string()))
            }
            Text::Text(text) => {
                let signed: SignedDuration = text.parse().map_err(|_| bad(&text))?;
                Duration::try_from(signed).map_err(|_| bad(&text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        let refused = |change: fn(&mut CameraSettings)| {
            let mut settings = CameraSettings::new("rtsp://cam/live".parse().expect("an address"));
            settings.validate().expect("the defaults work");
            change(&mut settings);
            settings.validate().expect_err("it is refused").to_string()
        };
        for (name, text) in [
            ("retry_first", refused(|s| s.retry_first = Duration::ZERO)),
            (
                "retry_first",
                refused(|s| s.retry_longest = Duration::from_millis(200)),
            ),
            (
                "privacy_masks",
                refused(|s| s.privacy_masks = vec![vec![[0.0, 0.0], [2.0, 0.0], [1.0, 1.0]]]),
            ),
            (
                "privacy_masks",
                refused(|s| s.privacy_masks = vec![vec![[0.0, 0.0], [1.0, 0.0]]]),
            ),
            ("fps_target", refused(|s| s.fps_target = f32::NAN)),
            (
                "pre_roll",
                refused(|s| s.pre_roll = Duration::from_secs(61)),
            ),
            ("decode", refused(|s| s.decode = Decode::None)),
            ("tls", refused(|s| s.tls = Tls::Sha256([0; 32]))),
            ("tls", refused(|s| s.tls = Tls::CaFile("ca.pem".into()))),
            (
                "tls",
                refused(|s| {
                    s.url = "https://cam/video".parse().expect("an address");
                    s.tls = Tls::Sha256([0; 32]);
                }),
            ),
            (
                "transport",
                refused(|s| {
                    s.url = "rtsps://cam/live".parse().expect("an address");
                    s.transport = Transport::Udp;
                }),
            ),
        ] {
            assert!(text.starts_with(name), "{name}: {text}");
        }
    }
}
