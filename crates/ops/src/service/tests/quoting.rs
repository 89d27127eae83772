//! Names and paths that mean no good.

use super::*;

/// What has a meaning in a unit, in XML, to a shell, or on a command line; without `/`.
const HOSTILE: &str = r#"a b%n%%$HOME ${X} "q" 'q' \ \n;<&>#=@!:|+-ü€{*}?"#;

#[test]
fn systemd_finds_a_program_of_any_name_that_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let unquoted = HOSTILE.replace(['"', '\'', '\\'], "");
    let names = [&unquoted, "-x", "@x", ":x", "a;b", ";", "%", "$$", " "];
    for (nth, name) in names.into_iter().enumerate() {
        // systemd looks whether the program is there, which it is under this very name only.
        let path = dir.path().join(nth.to_string()).join(name);
        program(&path);
        for form in [Form::Runner, Form::Timers] {
            let mut service = service(Manager::Systemd, Scope::System, form);
            service.program.clone_from(&path);
            service.config = format!("/etc/{HOSTILE}").into();
            service.writable = vec![format!("/srv/{HOSTILE}").into()];
            verify(&service);
        }
    }
    for name in ["/a\"b", "/a'b", "/a\\b", "/a/"] {
        let mut service = service(Manager::Systemd, Scope::System, Form::Runner);
        service.program = name.into();
        let refused = service.files();
        assert!(
            matches!(refused, Err(ServiceError::Path { .. })),
            "{name} {refused:?}"
        );
    }
}

/// systemd repeats a word that is no variable, as it has understood it; it takes the words of
/// `Environment` apart as it does those of `ExecStart`.
#[test]
fn systemd_understands_words_as_they_were_meant() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("words.service");
    let words = [
        HOSTILE, ";", "\\", "\"", "'", "%n", "%", "a\\x41b", "\\\"", "#x", "a b", "$$",
    ];
    for text in words {
        let unit = format!(
            "[Service]\nType=oneshot\nExecStart=/bin/true\nEnvironment={}\n",
            systemd::word(text)
        );
        fs::write(&path, unit).unwrap();
        let mut command = systemd_analyze();
        command.args(["verify", "--man=no"]).arg(&path);
        let (_, said) = said(&mut command, "systemd", b"");
        let repeated = said
            .trim_end()
            .split_once("Invalid environment assignment, ignoring: ");
        assert_eq!(repeated.map(|(_, word)| word), Some(text), "{said}");
    }
}

#[test]
fn systemd_says_so_when_there_is_no_such_program() {
    let mut service = service(Manager::Systemd, Scope::System, Form::Runner);
    service.program = "/no/such/$x".into();
    let dir = tempfile::tempdir().unwrap();
    let file = &service.files().unwrap()[0];
    let path = dir.path().join(&file.name);
    fs::write(&path, &file.content).unwrap();
    let mut command = systemd_analyze();
    command.args(["verify", "--man=no"]).arg(path);
    let (good, text) = said(&mut command, "systemd", b"");
    assert!(!good && text.contains("/no/such/$x"), "{text}");
}

#[test]
fn secrets_are_loaded_from_files_of_any_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = service(Manager::Systemd, Scope::System, Form::Runner);
    service.program = dir.path().join("keepwatch");
    program(&service.program);
    let path = format!("/etc/{}", HOSTILE);
    service.credentials = vec![Credential::of(&path, path.clone().into())];
    verify(&service);
    let unit = shown(&service.files().unwrap());
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("LoadCredential="))
        .unwrap();
    let (name, written) = line.split_once(':').unwrap();
    assert_eq!(name, credential_name(&path));
    assert_eq!(written, path.replace('%', "%%"));

    for path in [
        "/etc/x\\",
        "/etc/x ",
        "etc/x",
        "/etc/../x",
        "/etc/a\nUser=root",
    ] {
        service.credentials = vec![Credential::of(path, path.into())];
        let refused = service.files();
        assert!(
            matches!(refused, Err(ServiceError::Path { .. })),
            "{path:?} {refused:?}"
        );
    }
    service.credentials = vec![Credential {
        name: "a:b".to_owned(),
        path: "/etc/x".into(),
    }];
    assert!(matches!(service.files(), Err(ServiceError::Name { .. })));
}

#[test]
fn two_secrets_of_one_name_are_two() {
    let (one, other) = (credential_name("/a/pass"), credential_name("/b/pass"));
    assert_ne!(one, other);
    assert!(one.ends_with("-pass") && other.ends_with("-pass"));
    for path in ["", "/", "/a/..", "/x:y\n%", &"x".repeat(5000)] {
        let name = credential_name(path);
        assert!(quote::name(&name).is_ok(), "{name}");
    }
}

#[test]
fn xml_holds_any_path() {
    let mut launchd = service(Manager::Launchd, Scope::System, Form::Timers);
    launchd.program = format!("/opt/{HOSTILE}").into();
    launchd.config = format!("/etc/{HOSTILE}]]>").into();
    for file in launchd.files().unwrap() {
        let read = times::read("plist", &file);
        let argv = &read["what"]["ProgramArguments"];
        assert_eq!(argv[0].as_str(), launchd.program.to_str());
        assert_eq!(argv[4].as_str(), launchd.config.to_str());
        assert_eq!(argv[5].as_str(), Some("--"));
    }

    let mut windows = service(Manager::Windows, Scope::System, Form::Timers);
    windows.program = r"C:\a b'&;ü$\keepwatch.exe".into();
    windows.config = r"\\server\share\a b'&\".into();
    for (file, name) in windows.files().unwrap().iter().zip(["home", "check"]) {
        let read = times::read("task", file);
        assert_eq!(read["what"][0].as_str(), windows.program.to_str());
        let arguments = format!(r#"job run --config "\\server\share\a b'&\\" -- {name}"#);
        assert_eq!(read["what"][1].as_str(), Some(arguments.as_str()));
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let long = format!("/{}", "x".repeat(5000));
    let not_utf8 = std::os::unix::ffi::OsStrExt::from_bytes(b"/a\xff");
    let not_utf8: &std::ffi::OsStr = not_utf8;
    let unix = [
        "",
        "keepwatch",
        "/a\nExecStart=/b",
        "/a\r",
        "/a\0",
        "/a\u{85}",
        "/a/../b",
        &long,
    ];
    let unix = unix.map(PathBuf::from).into_iter().chain([not_utf8.into()]);
    for path in unix {
        for manager in [Manager::Systemd, Manager::Launchd] {
            for of_config in [false, true] {
                let mut service = service(manager, Scope::System, Form::Runner);
                match of_config {
                    true => service.config.clone_from(&path),
                    false => service.program.clone_from(&path),
                }
                let refused = service.files();
                assert!(
                    matches!(refused, Err(ServiceError::Path { .. })),
                    "{path:?} {refused:?}"
                );
            }
        }
    }
    for path in [
        "/usr/bin/x",
        "x.exe",
        "C:x",
        r"C:\%TEMP%\x",
        r"C:\$(Arg0)",
        "C:\\a\"b",
        "C:\\\n",
    ] {
        let mut service = service(Manager::Windows, Scope::System, Form::Runner);
        service.program = path.into();
        let refused = service.files();
        assert!(
            matches!(refused, Err(ServiceError::Path { .. })),
            "{path:?} {refused:?}"
        );
    }
}

#[test]
fn names_of_jobs_are_plain() {
    let long = "x".repeat(65);
    let hostile = [
        "", ".", "..", ".x", "../x", "a b", "a/b", "a\nb", "a%n", "a@b", "ä", &long,
    ];
    for name in hostile {
        for manager in [Manager::Systemd, Manager::Launchd, Manager::Windows] {
            for form in [Form::Runner, Form::Timers] {
                let mut service = service(manager, Scope::System, form);
                service.jobs.push(job(name, None));
                assert!(
                    matches!(service.files(), Err(ServiceError::Name { .. })),
                    "{name:?}"
                );
            }
        }
    }
    let mut service = service(Manager::Systemd, Scope::System, Form::Timers);
    service.jobs.push(job("Home", None));
    assert!(matches!(service.files(), Err(ServiceError::Twice { .. })));
    // One that looks like an option is none.
    service.jobs = vec![job("--help", Some("@daily"))];
    let unit = shown(&service.files().unwrap());
    assert!(unit.contains(" -- --help\n"), "{unit}");
}
