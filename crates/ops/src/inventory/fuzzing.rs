//! What reads a machine's files and programs' answers, and what reads inventories.

use std::path::Path;

use super::model::GoProgram;
use super::script::{fuzzed_comment, fuzzed_quote};
use super::text::{name, without_passwords};
use super::{
    Section, apt, containers, diff, editors, file, languages, network, openpgp, repositories,
    script, stores, users,
};

/// Reads the bytes as everything that there is.
///
/// Beside *no crash*: a second look for passwords finds none, an inventory that was read reads the
/// same when it was written, does not differ from itself, and gives a script that is printable
/// ASCII.
pub fn inventory(bytes: &[u8]) {
    let user = name("ada");
    let (half, rest) = bytes.split_at(bytes.len() / 2);
    let _ = apt::parse(half, rest);
    let _ = apt::parse(bytes, b"");
    let _ = stores::parse_snap_list(bytes);
    let _ = stores::parse_snap_state(bytes);
    let _ = languages::parse_dist_info(bytes);
    let _ = languages::parse_pipx(&user, b"x", bytes);
    let _ = languages::parse_npm(bytes);
    let _ = languages::parse_cargo(&user, bytes);
    let mut programs = [GoProgram {
        user: user.clone(),
        name: name("x"),
        package: None,
        version: None,
    }];
    languages::add_modules(&mut programs, b"/bin", bytes);
    let _ = repositories::parse_list(bytes);
    let _ = repositories::parse_deb822(bytes);
    let _ = repositories::parse_remotes(None, bytes);
    let _ = openpgp::fingerprints(bytes);
    let _ = network::parse_connection(b"x", bytes);
    let _ = editors::parse_extensions(&user, "code", bytes);
    let _ = editors::parse_origin(bytes);
    let _ = containers::parse_images("docker", bytes);
    let _ = containers::parse_containers("docker", bytes);
    let _ = users::parse_passwd(bytes);
    let (hidden, _) = without_passwords(bytes);
    assert_eq!(without_passwords(&hidden).0, hidden);
    assert!(is_printable(&fuzzed_quote(bytes)));
    assert!(is_printable(&fuzzed_comment(bytes)));
    if let Ok(read) = file::parse(Path::new("fuzzed"), bytes) {
        let again = file::parse(Path::new("fuzzed"), &read.to_json());
        assert_eq!(again.expect("what was written can be read"), read);
        assert_eq!(diff(&read, &read), []);
        assert!(script(&read, &Section::ALL).lines().all(is_printable));
    }
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
