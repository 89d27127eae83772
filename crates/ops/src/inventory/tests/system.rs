//! The machine that the tests run on.

use super::*;

fn running() -> System {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::var_os("HOME").map(|home| ("HOME".into(), home));
    System::running(&search, home).expect("the root directory can be opened")
}

#[test]
fn this_machine_has_an_inventory() {
    let system = running();
    let options = Options {
        users: Users::Named(vec!["root".into()]),
        ..Options::default()
    };
    let inventory = take(&system, &options);
    assert_sound(&inventory);
    assert!(inventory.packages.apt.len() > 50, "this is a Debian");
    assert!(!inventory.repositories.keyrings.is_empty());
    assert!(
        inventory
            .network
            .interfaces
            .iter()
            .any(|one| one.0 == b"lo"),
        "{:?}",
        inventory.network
    );
    assert_eq!(inventory.users[0].home.0, b"/root");
    assert_eq!(inventory.machine.os_id, Some(text::name("debian")));
    assert_eq!(inventory.secrets, None);
}

/// The same files, whether the system runs or is looked at from elsewhere.
#[test]
fn a_mounted_system_is_seen_as_the_running_one() {
    let options = Options {
        users: Users::Named(vec!["root".into()]),
        ..Options::default()
    };
    let mounted = System::mounted(Path::new("/")).expect("it opens");
    let (running, mounted) = (take(&running(), &options), take(&mounted, &options));
    assert_eq!(running.packages.apt, mounted.packages.apt);
    assert_eq!(running.repositories, mounted.repositories);
    assert_eq!(running.services, mounted.services);
    assert!(
        mounted
            .programs
            .iter()
            .all(|one| one.state == ProgramState::NotRun)
    );
}

#[test]
fn nobody_who_is_not_there_is_looked_at() {
    let options = Options {
        users: Users::Named(vec!["nobody-is-called-so".into()]),
        ..Options::default()
    };
    let error = collect(&running(), &options, Timestamp::UNIX_EPOCH).expect_err("nobody");
    assert!(matches!(error, Error::NoSuchUser { .. }));
}
