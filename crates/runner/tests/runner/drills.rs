//! Drills, and what their failures are.

use keepwatch_runner::{DrillFault, Status};
use keepwatch_testkit::tree;

use crate::world::{World, run, script};

fn jobs(more: &str) -> String {
    format!(
        "[jobs.b]\nkind = \"backup\"\nrepository = \"disk\"\npaths = [\"@/source\"]\n\
         [jobs.d]\nkind = \"drill\"\nrepository = \"disk\"\n{more}"
    )
}

#[test]
fn everything_comes_back_without_the_source_and_a_program_looks_at_it() {
    let world = World::new();
    world.init("disk");
    let look = script(
        &world.path("look"),
        "cd \"$KEEPWATCH_DRILL_DIR\" && pwd && [ \"$PWD\" = \"$KEEPWATCH_DRILL_DIR\" ] && \
         cmp \".$1/a\" \"$2\" && [ -e \".$1/deep/b\" ]",
    );
    let source = world.path("source");
    let kept = tree::write(world.dir.path(), "kept", tree::noise(40_000, 1));
    let command = format!(
        "[\"{look}\", \"{}\", \"{}\"]",
        source.display(),
        kept.display()
    );
    let text = jobs(&format!("all = true\ncheck = {{ command = {command} }}\n"));
    let runner = world.runner(&text);
    assert_eq!(run(&runner, "b").status, Status::Done);
    std::fs::remove_dir_all(&source).unwrap();
    world.later(3600);
    let record = run(&runner, "d");
    assert_eq!(record.status, Status::Done, "{record:?}");
    assert_eq!(record.summary["files"], 2);
    assert_eq!(record.summary["of_files"], 2);
    assert_eq!(record.summary["age_seconds"], 3600);
    // What it restored is gone.
    let left = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let place = format!("{}", record.summary["snapshot"]);
    assert!(
        !left
            .into_iter()
            .any(|entry| entry.unwrap().path().join(&place).exists())
    );

    // The program says no: that is a failure of its own.
    std::fs::write(&kept, b"otherwise").unwrap();
    let record = run(&runner, "d");
    assert_eq!(
        (record.status, record.fault),
        (Status::Failed, Some(DrillFault::Command))
    );
    assert!(
        record.said().iter().any(|line| line.contains("it said: ")),
        "{record:?}"
    );
}

#[test]
fn damage_and_age_fail_it_each_in_its_own_way() {
    let world = World::new();
    world.init("disk");
    let text = jobs("max_age = \"26h\"\n");
    let runner = world.runner(&text);
    assert_eq!(run(&runner, "b").status, Status::Done);
    world.later(25 * 3600);
    assert_eq!(run(&runner, "d").status, Status::Done);
    world.later(2 * 3600);
    let record = run(&runner, "d");
    assert_eq!(
        (record.status, record.fault),
        (Status::Failed, Some(DrillFault::Age))
    );
    std::fs::remove_dir_all(world.path("disk/packs")).unwrap();
    let record = run(&world.runner(&jobs("")), "d");
    assert_eq!(record.status, Status::Failed, "{record:?}");
}

#[test]
fn databases_are_tried_where_nothing_else_is() {
    let world = World::new();
    world.init("disk");
    let path = world.path("shop.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute_batch("CREATE TABLE a (b INT); CREATE TABLE c (d INT); INSERT INTO a VALUES (1)")
        .unwrap();
    drop(database);
    let settings = "[databases.shop]\nkind = \"sqlite\"\npath = \"@/shop.db\"\n\
                    [databases.scratch]\nkind = \"sqlite\"\npath = \"@/shop.db\"\n";
    let text = |databases: &str, scratch: &str| {
        format!(
            "{settings}[jobs.b]\nkind = \"backup\"\nrepository = \"disk\"\npaths = [\"@/source\"]\n\
             databases = [{databases}]\n\
             [jobs.d]\nkind = \"drill\"\nrepository = \"disk\"\nscratch = {{ {scratch} }}\n"
        )
    };
    let runner = world.runner(&text("\"shop\"", "shop = \"scratch\""));
    assert_eq!(run(&runner, "b").status, Status::Done);
    // The source is not needed.
    std::fs::remove_file(&path).unwrap();
    let record = run(&runner, "d");
    assert_eq!(record.status, Status::Done, "{record:?}");
    assert_eq!(
        (&record.summary["databases"], &record.summary["tables"]),
        (&1.into(), &2.into())
    );

    // A snapshot without it proves nothing of it.
    let without = text("", "shop = \"scratch\"").replace("[jobs.b]", "[jobs.b]\ntags = [\"x\"]");
    let runner = world.runner(&without);
    world.later(60);
    assert_eq!(run(&runner, "b").status, Status::Done);
    let record = run(&runner, "d");
    assert_eq!(
        (record.status, record.fault),
        (Status::Failed, Some(DrillFault::Content)),
        "{record:?}"
    );
}
