//! SIGHUP.

use rustix::process::Signal;
use serde_json::json;

use crate::program::Server;
use crate::world::World;

const UNUSABLE: &str = "the configuration cannot be used; the one before stays in force";
const READ: &str = "the configuration was read again";

#[test]
fn the_configuration_is_read_again_if_it_can_be_used() {
    let world = World::empty();
    let write = |cameras: &str| world.write("keepwatch.toml", cameras);
    let door = "[cameras.door]\nurl = \"test:ball\"\n";
    let yard = "[cameras.yard]\nurl = \"test:smpte\"\n";
    write(door);
    let server = Server::start(
        &world,
        &["--config", "keepwatch.toml", "--camera", "own=test:"],
    );
    let ada = server.set_up();
    let before = ada.until("/api/v1/cameras/door", |camera| camera["frames"] != 0);
    assert_eq!(ada.cameras(), ["door", "own"]);
    let hang_up = |expected: &str| {
        let mark = server.program.mark();
        server.program.signal(Signal::HUP);
        server.program.wait_for(mark, expected)
    };

    write(&format!("{door}{yard}"));
    hang_up(READ);
    assert_eq!(ada.cameras(), ["door", "own", "yard"]);
    ada.until("/api/v1/cameras/yard", |camera| camera["state"] == "live");
    // The one that is as it was goes on.
    let after = ada.get("/api/v1/cameras/door");
    assert!(
        after["frames"].as_u64() >= before["frames"].as_u64(),
        "{after:#}"
    );

    for bad in [
        "[cameras.door\n",
        "[cameras.door]\nurl = \"gopher://x\"\n",
        "[cameras.door]\nurl = \"test:ball\"\nspeed = 3\n",
        "[server]\nauthentication = \"none\"\nauth_token = \"0123456789abcdef\"\n",
        "[cameras.door]\nurl = \"test:ball\"\n[plates]\nallow = \"nowhere.csv\"\nregion = \"xx\"\n",
    ] {
        write(bad);
        let said = hang_up(UNUSABLE);
        assert!(said.contains("ERROR"), "{said}");
        assert_eq!(ada.cameras(), ["door", "own", "yard"], "{bad}");
        assert_eq!(server.readiness().0, 200);
    }

    write(yard);
    hang_up(READ);
    assert_eq!(ada.cameras(), ["own", "yard"]);
    let acts = ada.get("/api/v1/audit?action=config-reload");
    assert_eq!(acts["entries"].as_array().unwrap().len(), 2, "{acts:#}");
    assert_eq!(acts["entries"][0]["actor"], json!("server"), "{acts:#}");

    std::fs::remove_file(world.path("keepwatch.toml")).unwrap();
    hang_up(UNUSABLE);
    assert_eq!(ada.cameras(), ["own", "yard"]);
    server.stop();
}
