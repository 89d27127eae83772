//! Entry points for the fuzz targets: each takes bytes that somebody may send to the server.
//!
//! Beside *no crash* each checks what must hold of what is accepted.

use super::path::{encode, escape, names};
use super::range::{Wanted, parse};

/// The size of a file, and the path and the range that are asked for, on a line each.
pub fn request(bytes: &[u8]) {
    let Some((size, text)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let size = u64::from_le_bytes(*size);
    let text = String::from_utf8_lossy(text);
    let (path, header) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(found) = names(path) {
        let mut again = String::new();
        for name in &found {
            assert!(!matches!(&**name, b"" | b"." | b".."), "{path:?}");
            assert!(!name.contains(&b'/') && !name.contains(&0), "{path:?}");
            let shown = escape(name);
            assert!(!shown.contains(['<', '>', '"', '\'']), "{shown:?}");
            again = again + "/" + &encode(name);
        }
        assert_eq!(names(&again), Ok(found));
    }
    for size in [size, size % 1000, 0] {
        if let Wanted::Part(part) = parse(header, size) {
            assert!(part.start < part.end && part.end <= size, "{part:?}");
        }
    }
}
