//! Streams as cameras write them, well and badly.

use proptest::prelude::*;

use super::*;

fn pictures() -> Vec<Vec<u8>> {
    let filler = [b'\n', b'-', b'-', b'b', 7];
    (1..5_usize)
        .map(|n| {
            let body = filler.iter().cycle().take(n * 37).copied();
            [0xff, 0xd8]
                .into_iter()
                .chain(body)
                .chain([0xff, 0xd9])
                .collect()
        })
        .collect()
}

/// How cameras write a stream, well or badly.
#[derive(Clone, Copy, Debug)]
struct Habits {
    end: &'static str,
    counted: bool,
    /// Whether a line break comes after a picture.
    broken: bool,
    preamble: &'static str,
}

fn stream(habits: Habits) -> Vec<u8> {
    let Habits {
        end,
        counted,
        broken,
        preamble,
    } = habits;
    let mut out = preamble.as_bytes().to_vec();
    for picture in pictures() {
        out.extend(format!("--frame{end}Content-Type: image/jpeg{end}").bytes());
        if counted {
            out.extend(format!("content-length : {}{end}", picture.len()).bytes());
        }
        out.extend(end.bytes());
        out.extend(&picture);
        out.extend(if broken { end } else { "" }.bytes());
    }
    out.extend(format!("--frame--{end}--frame{end}").bytes());
    out
}

proptest! {
    #[test]
    fn pictures_come_out_however_the_stream_is_cut(
        pieces in proptest::collection::vec(1_usize..90, 1..40),
        counted: bool,
        crlf: bool,
        broken: bool,
        header in prop_oneof![
            Just(None),
            Just(Some("multipart/x-mixed-replace; boundary=frame")),
            Just(Some("multipart/x-mixed-replace;boundary=\"--frame\"")),
        ],
        preamble in prop_oneof![Just(""), Just("\r\n"), Just("hello\n")],
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let stream = stream(Habits { end, counted, broken, preamble });
        let mut parser = MjpegParser::new(header);
        let mut found = Vec::new();
        let mut rest = stream.as_slice();
        for len in pieces.iter().cycle() {
            let (piece, after) = rest.split_at((*len).min(rest.len()));
            found.extend(parser.push(piece).expect("it is a stream"));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, pictures());
    }

    #[test]
    fn any_bytes_are_pictures_an_error_or_nothing(bytes: Vec<u8>) {
        let _ = MjpegParser::new(None).push(&bytes);
    }
}

#[test]
fn a_stream_may_be_cut_in_two_anywhere() {
    for counted in [true, false] {
        let habits = Habits {
            end: "\r\n",
            counted,
            broken: true,
            preamble: "",
        };
        let stream = stream(habits);
        for at in 0..=stream.len() {
            let mut parser = MjpegParser::new(None);
            let mut found = parser.push(&stream[..at]).expect("it is a stream");
            found.extend(parser.push(&stream[at..]).expect("it is a stream"));
            assert_eq!(found, pictures(), "{at}");
        }
    }
}

#[test]
fn boundaries_are_found_in_any_header() {
    for (header, boundary) in [
        ("multipart/x-mixed-replace; boundary=frame", Some("--frame")),
        (
            "multipart/x-mixed-replace;BOUNDARY = --frame ",
            Some("--frame"),
        ),
        (
            "multipart/x-mixed-replace; a=\"x;boundary=no\"; boundary=\"b;=c\"",
            Some("--b;=c"),
        ),
        ("image/jpeg", None),
        ("multipart/x-mixed-replace; boundary=", None),
    ] {
        assert_eq!(
            boundary_of(header).as_deref(),
            boundary.map(str::as_bytes),
            "{header}"
        );
    }
}

#[test]
fn a_wrong_length_costs_no_more_than_its_picture() {
    let good = |n: u8| [START, &[n], END].concat();
    let mut stream = b"--b\r\nContent-Length: 3\r\n\r\n".to_vec();
    stream.extend(
        [
            good(1),
            b"\r\n--b\r\nContent-Length: 5\r\n\r\n".to_vec(),
            good(2),
        ]
        .concat(),
    );
    stream.extend(b"\r\n");
    let found = MjpegParser::new(None)
        .push(&stream)
        .expect("it is a stream");
    assert_eq!(found, [[START, &[1]].concat(), good(2)]);
}

#[test]
fn what_failed_stays_so_and_what_was_whole_comes_out_before() {
    let mut stream = b"--b\n\n".to_vec();
    stream.extend([START, END, b"\n--b\nContent-Length: x\n\n"].concat());
    let mut parser = MjpegParser::new(None);
    let found = parser.push(&stream).expect("a picture was whole");
    assert_eq!(found, [[START, END].concat()]);
    for bytes in [&b""[..], b"--b\n\n\xff\xd8\xff\xd9\n--b\n"] {
        let error = parser.push(bytes).expect_err("it failed");
        assert!(
            error
                .to_string()
                .ends_with("the length of a picture is no number")
        );
    }
}

#[test]
fn nothing_grows_without_bound() {
    for (stream, what) in [
        (vec![b'a'; 20_000], "no boundary"),
        (b"<p>login, please\n".repeat(1000), "another kind of page"),
        (
            [&b"--b\n"[..], &b"X: y\n".repeat(5000)].concat(),
            "too many lines of header",
        ),
        (
            b"--b\nContent-Length: 99999999\n\n".to_vec(),
            "too long a picture",
        ),
        (b"--b\nContent-Length: -1\n\n".to_vec(), "no number"),
        (
            [b"--b\nX: ".to_vec(), vec![b'a'; 20_000]].concat(),
            "too long a header",
        ),
        (
            [b"--b\n\n".to_vec(), vec![0; MAX_PICTURE + 10]].concat(),
            "no end",
        ),
        (b"\xff\xd8\xff\n".to_vec(), "a picture without a part"),
    ] {
        assert!(MjpegParser::new(None).push(&stream).is_err(), "{what}");
    }
}
