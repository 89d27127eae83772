//! Video, encoded once and sent again and again.

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

/// How video is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VideoCodec {
    /// ITU-T H.264.
    #[default]
    H264,
    /// ITU-T H.265.
    H265,
    /// Pictures for themselves.
    Jpeg,
}

/// What is to be seen: a still, textured scene, through which something passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Film {
    /// How it is encoded.
    pub codec: VideoCodec,
    /// The width in pixels.
    pub width: usize,
    /// The height in pixels.
    pub height: usize,
    /// Frames a second.
    pub fps: u32,
    /// Frames from one key frame to the next.
    pub gop: u32,
    /// Kilobits a second.
    pub kbit: u32,
    /// Frames of the loop.
    pub frames: u32,
    /// Frames of the loop, from one to before another, in which something passes.
    pub passing: Option<(u32, u32)>,
    /// Whether it has the noise of a sensor, so that frames are as large as those of real cameras.
    pub noise: bool,
}

impl Default for Film {
    fn default() -> Self {
        Self {
            codec: VideoCodec::H264,
            width: 320,
            height: 180,
            fps: 25,
            gop: 12,
            kbit: 300,
            frames: 48,
            passing: None,
            noise: false,
        }
    }
}

/// One picture, encoded.
#[derive(Clone, Debug)]
pub struct AccessUnit {
    /// NAL units behind start codes (Annex B), or one JPEG.
    pub bytes: Vec<u8>,
    /// Whether it can be decoded without any other.
    pub key: bool,
}

impl AccessUnit {
    /// Its NAL units, without start codes.
    pub fn nals(&self) -> impl Iterator<Item = &[u8]> {
        let starts: Vec<usize> = self
            .bytes
            .windows(3)
            .enumerate()
            .filter(|(_, window)| *window == [0, 0, 1])
            .map(|(at, _)| at)
            .collect();
        let ends = starts.iter().skip(1).copied();
        let ends = ends
            .chain([self.bytes.len()])
            .zip(starts.clone())
            // A start code of four bytes begins with what looks like the end of the unit before.
            .map(|(end, start)| match self.bytes[start + 3..end].last() {
                Some(0) if end < self.bytes.len() => end - 1,
                _ => end,
            });
        starts
            .clone()
            .into_iter()
            .zip(ends.collect::<Vec<_>>())
            .map(|(start, end)| &self.bytes[start + 3..end])
    }
}

/// A film, encoded.
#[derive(Clone, Debug)]
pub struct Footage {
    /// What it shows.
    pub film: Film,
    /// Its pictures; after the last comes the first again.
    pub units: Arc<[AccessUnit]>,
}

impl Footage {
    /// Encodes a film; the same film gives the same bytes.
    ///
    /// # Panics
    /// When GStreamer lacks the encoder.
    pub fn encode(film: &Film) -> Self {
        let units = encode(film).unwrap_or_else(|problem| panic!("cannot encode: {problem}"));
        Self {
            film: film.clone(),
            units: units.into(),
        }
    }

    /// The picture that is sent as number so much.
    pub fn unit(&self, number: u64) -> &AccessUnit {
        &self.units[(number % self.units.len() as u64) as usize]
    }
}

/// The picture of that number in I420.
fn picture(film: &Film, number: u32) -> Vec<u8> {
    let (width, height) = (film.width, film.height);
    let mut out = vec![128; width * height * 3 / 2];
    for (y, row) in out[..width * height].chunks_exact_mut(width).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            let checks = 30 * ((x * 16 / width + y * 9 / height) % 2);
            let grain = (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)) % 9;
            *pixel = (70 + checks + grain + 40 * y / height) as u8;
        }
    }
    if let Some((first, last)) = film.passing
        && (first..last).contains(&number)
    {
        let (w, h) = (width / 8, height / 4);
        let left = (width - w) * (number - first) as usize / (last - first) as usize;
        for row in out[..width * height]
            .chunks_exact_mut(width)
            .skip(height / 3)
            .take(h)
        {
            row[left..left + w].fill(220);
        }
    }
    if film.noise {
        add_noise(&mut out[..width * height], width, number);
    }
    out
}

/// The noise of a sensor: another in each frame, the same in each run. It grows from the top to the
/// bottom, so that at any quality an encoder finds some of it worth its bits, and some not.
fn add_noise(luma: &mut [u8], width: usize, seed: u32) {
    let mut state = 88_172_645_463_325_252 ^ (u64::from(seed) << 32);
    let height = luma.len() / width;
    for (y, row) in luma.chunks_exact_mut(width).enumerate() {
        let strength = (32 * y / height) as i16;
        for pixels in row.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            for (pixel, random) in pixels.iter_mut().zip(state.to_le_bytes()) {
                // The sum of two dice: small deviations are the usual ones.
                let deviation = i16::from(random % 16) + i16::from(random / 16) - 15;
                *pixel = (i16::from(*pixel) + deviation * strength / 32).clamp(0, 255) as u8;
            }
        }
    }
}

fn encoder(film: &Film) -> String {
    match film.codec {
        VideoCodec::H264 => format!(
            "x264enc tune=zerolatency speed-preset=veryfast threads=1 key-int-max={} bitrate={} \
             option-string=scenecut=0 ! h264parse config-interval=-1 ! \
             video/x-h264,stream-format=byte-stream,alignment=au",
            film.gop, film.kbit
        ),
        VideoCodec::H265 => format!(
            "x265enc tune=zerolatency speed-preset=ultrafast key-int-max={} bitrate={} \
             option-string=pools=none:frame-threads=1:open-gop=0:scenecut=0:log-level=none ! \
             h265parse config-interval=-1 ! \
             video/x-h265,stream-format=byte-stream,alignment=au",
            film.gop, film.kbit
        ),
        VideoCodec::Jpeg => "jpegenc".to_owned(),
    }
}

fn encode(film: &Film) -> Result<Vec<AccessUnit>, Box<dyn std::error::Error>> {
    gst::init()?;
    let text = format!(
        "appsrc name=source format=time block=true max-bytes=20000000 \
         caps=video/x-raw,format=I420,width={},height={},framerate={}/1 ! \
         {} ! appsink name=sink sync=false",
        film.width,
        film.height,
        film.fps,
        encoder(film)
    );
    let pipeline = gst::parse::launch(&text)?.downcast::<gst::Pipeline>();
    let pipeline = pipeline.map_err(|_| "it is no pipeline")?;
    let source = pipeline.by_name("source").ok_or("no source")?;
    let source = source.downcast::<gst_app::AppSrc>();
    let source = source.map_err(|_| "it is no appsrc")?;
    let sink = pipeline.by_name("sink").ok_or("no sink")?;
    let sink = sink.downcast::<gst_app::AppSink>();
    let sink = sink.map_err(|_| "it is no appsink")?;
    pipeline.set_state(gst::State::Playing)?;
    let mut units = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let frame = gst::ClockTime::SECOND / u64::from(film.fps);
            for number in 0..film.frames {
                let mut buffer = gst::Buffer::from_mut_slice(picture(film, number));
                if let Some(buffer) = buffer.get_mut() {
                    buffer.set_pts(frame * u64::from(number));
                    buffer.set_duration(frame);
                }
                if source.push_buffer(buffer).is_err() {
                    break;
                }
            }
            let _ = source.end_of_stream();
        });
        while let Ok(sample) = sink.pull_sample() {
            let Some(buffer) = sample.buffer() else {
                continue;
            };
            if let Ok(bytes) = buffer.map_readable() {
                units.push(AccessUnit {
                    bytes: bytes.to_vec(),
                    key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
                });
            }
        }
    });
    pipeline.set_state(gst::State::Null)?;
    if units.len() != film.frames as usize {
        return Err(format!("{} of {} frames were encoded", units.len(), film.frames).into());
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_film_gives_the_same_bytes_with_key_frames_where_they_belong() {
        for codec in [VideoCodec::H264, VideoCodec::H265, VideoCodec::Jpeg] {
            let film = Film {
                codec,
                passing: Some((10, 30)),
                ..Film::default()
            };
            let [one, other] = [Footage::encode(&film), Footage::encode(&film)];
            for (number, (a, b)) in one.units.iter().zip(other.units.iter()).enumerate() {
                assert_eq!(a.bytes, b.bytes, "{codec:?} {number}");
                let key = codec == VideoCodec::Jpeg || number % 12 == 0;
                assert_eq!(a.key, key, "{codec:?} {number}");
            }
        }
    }

    #[test]
    fn units_are_taken_apart_at_start_codes_of_three_and_four_bytes() {
        let unit = AccessUnit {
            bytes: vec![0, 0, 0, 1, 9, 16, 0, 0, 1, 6, 5, 0, 0, 0, 1, 0x65, 1, 0],
            key: true,
        };
        let nals: Vec<_> = unit.nals().collect();
        assert_eq!(nals, [&[9, 16][..], &[6, 5], &[0x65, 1, 0]]);
    }
}
