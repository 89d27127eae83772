//! The names of media files: `media/2025/11/25/door/20251125T061331.204Z-<event id>.mp4.kw`.

use jiff::Timestamp;

use super::{files, is_plain_name};
use crate::events::model::{EventId, MAX_CAMERA_NAME, MediaKind};

const TIME: &str = "%Y%m%dT%H%M%S.%3fZ";
const TIME_LEN: usize = 20;
const ID_LEN: usize = 36;
const PART: &str = ".part";
const SEGMENT_PART: &str = ".segment.part";

/// What the name of a media file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MediaName {
    /// Of a finished file it is not known whether it is a clip or a segment: it says clip.
    pub kind: MediaKind,
    pub camera: String,
    /// To the millisecond.
    pub started_at: Timestamp,
    pub id: EventId,
}

impl MediaName {
    pub fn new(kind: MediaKind, camera: &str, started_at: Timestamp, id: EventId) -> Self {
        Self {
            kind,
            camera: camera.to_owned(),
            started_at,
            id,
        }
    }

    fn extension(&self) -> &'static str {
        match self.kind {
            MediaKind::Snapshot => "jpg",
            MediaKind::Clip | MediaKind::Segment => "mp4",
        }
    }

    /// The folder, as a path in the store.
    pub fn folder(&self) -> String {
        let day = self.started_at.strftime("%Y/%m/%d");
        format!("{}/{day}/{}", files::MEDIA, self.camera)
    }

    /// The name in the folder when it is finished.
    pub fn file(&self) -> String {
        let time = self.started_at.strftime(TIME);
        format!("{time}-{}.{}.kw", self.id, self.extension())
    }

    /// The name in the folder while it is written.
    pub fn part(&self) -> String {
        let suffix = match self.kind {
            MediaKind::Segment => SEGMENT_PART,
            MediaKind::Clip | MediaKind::Snapshot => PART,
        };
        self.file() + suffix
    }

    pub fn path(&self) -> String {
        format!("{}/{}", self.folder(), self.file())
    }

    /// Reads the path of a finished file; none for any path that is not exactly as it would be made.
    pub fn parse(path: &str) -> Option<Self> {
        let name = Self::parse_any(path, "")?;
        (name.path() == path).then_some(name)
    }

    /// Reads the path of a file that is being written.
    pub fn parse_part(path: &str) -> Option<Self> {
        let mut name = Self::parse_any(path, PART)?;
        if path.ends_with(SEGMENT_PART) {
            name.kind = MediaKind::Segment;
        }
        (format!("{}/{}", name.folder(), name.part()) == path).then_some(name)
    }

    fn parse_any(path: &str, suffix: &str) -> Option<Self> {
        let (folder, file) = path.rsplit_once('/')?;
        let (_, camera) = folder.rsplit_once('/')?;
        if !is_plain_name(camera, MAX_CAMERA_NAME) || !file.is_ascii() {
            return None;
        }
        let time = file.get(..TIME_LEN)?;
        let id = file
            .get(TIME_LEN..)?
            .strip_prefix('-')?
            .get(..ID_LEN)?
            .parse()
            .ok()?;
        let rest = file.get(TIME_LEN + 1 + ID_LEN..)?;
        let rest = rest.strip_suffix(suffix)?;
        let kind = match rest.strip_suffix(".segment").unwrap_or(rest) {
            ".jpg.kw" => MediaKind::Snapshot,
            ".mp4.kw" => MediaKind::Clip,
            _ => return None,
        };
        let (date, clock) = (&time[..8], &time[9..]);
        let (hours, rest) = clock.split_at(2);
        let (minutes, seconds) = rest.split_at(2);
        let started_at = format!(
            "{}-{}-{}T{hours}:{minutes}:{seconds}",
            &date[..4],
            &date[4..6],
            &date[6..]
        );
        let started_at = started_at.parse().ok()?;
        Some(Self::new(kind, camera, started_at, id))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_made() {
        let at: Timestamp = "2025-11-25T06:13:31.204Z".parse().unwrap();
        let id = EventId::from_bytes([7; 16]);
        for kind in [MediaKind::Snapshot, MediaKind::Clip, MediaKind::Segment] {
            let name = MediaName::new(kind, "front-door.2", at, id);
            let part = format!("{}/{}", name.folder(), name.part());
            assert_eq!(MediaName::parse_part(&part).as_ref(), Some(&name));
            assert_eq!(MediaName::parse(&part), None);
            let path = name.path();
            assert!(path.starts_with("media/2025/11/25/front-door.2/20251125T061331.204Z-0707"));
            assert_eq!(MediaName::parse(&path).unwrap().path(), path);
            assert_eq!(MediaName::parse_part(&path), None);
        }
    }

    #[test]
    fn paths_that_are_not_made_so_are_refused() {
        let at: Timestamp = "2025-11-25T06:13:31.204Z".parse().unwrap();
        let path = MediaName::new(MediaKind::Clip, "door", at, EventId::from_bytes([7; 16])).path();
        assert!(MediaName::parse(&path).is_some());
        for wrong in [
            format!("../{path}"),
            format!("/{path}"),
            path.replace("media/", "media/../media/"),
            path.replace("/door/", "/../"),
            path.replace("2025/11/25", "2025/11/26"),
            path.replace("0707", "ABAB"),
            path.replace(".mp4", ".exe"),
            format!("{path}/"),
            format!("{path}\0"),
        ] {
            assert_eq!(MediaName::parse(&wrong), None, "{wrong}");
        }
    }
}
