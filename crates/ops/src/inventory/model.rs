//! What is in an inventory. The JSON is these types, field by field; `schema/inventory-1.json`
//! describes it, and the tests hold both against each other.
//!
//! Whatever a machine gives a name to is a [`Name`]: in JSON text, or `{"hex": …}` where it is no
//! text. Lists are sorted, so that the same machine gives the same inventory.

use jiff::Timestamp;
use keepwatch_core::Name;
use serde::{Deserialize, Serialize};

/// What the field `format` says.
pub const FORMAT: &str = "keepwatch-inventory";
/// The version of the format that is written.
pub const VERSION: u32 = 1;

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }
    )*};
}

records! {
    /// All that was found.
    Inventory {
        /// [`FORMAT`].
        format: String,
        /// [`VERSION`].
        version: u32,
        /// When it was taken.
        taken_at: Timestamp,
        /// Which machine.
        machine: Machine,
        /// Whose homes were looked at.
        users: Vec<User>,
        /// What is installed.
        packages: Packages,
        /// Where packages come from.
        repositories: Repositories,
        /// What people have set up for themselves.
        dotfiles: Vec<Dotfile>,
        /// What starts by itself.
        services: Services,
        /// What runs at its time.
        cron: Cron,
        /// What networks are called.
        network: Network,
        /// Fonts that no package has brought.
        fonts: Vec<Font>,
        /// What was added to editors.
        editors: Editors,
        /// Containers and what they are made of.
        containers: Containers,
        /// What is secret and was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secrets: Option<Secrets>,
        /// Which programs were asked.
        programs: Vec<Program>,
        /// What is not in the inventory that should be.
        problems: Vec<Problem>,
    }

    /// The machine.
    Machine {
        /// From `etc/hostname`.
        hostname: Option<Name>,
        /// The system in words, from `os-release`.
        os: Option<Name>,
        /// `ID` of `os-release`, such as `debian`.
        os_id: Option<Name>,
        /// `VERSION_ID` of `os-release`.
        os_version: Option<Name>,
        /// dpkg's name of the architecture.
        architecture: Option<Name>,
    }

    /// Somebody with a home.
    User {
        /// The name to log in with.
        name: Name,
        /// The home.
        home: Name,
    }

    /// What is installed.
    Packages {
        /// Debian packages.
        apt: Vec<AptPackage>,
        /// Snaps.
        snap: Vec<SnapPackage>,
        /// Flatpak applications.
        flatpak: Vec<FlatpakPackage>,
        /// What pip has installed for users and in `/usr/local`.
        pip: Vec<PipPackage>,
        /// Applications of pipx.
        pipx: Vec<PipxPackage>,
        /// Global packages of npm.
        npm: Vec<NpmPackage>,
        /// What `cargo install` has installed.
        cargo: Vec<CargoPackage>,
        /// What `go install` has installed.
        go: Vec<GoProgram>,
    }

    /// A Debian package.
    AptPackage {
        /// Its name.
        name: Name,
        /// Its architecture, or `all`.
        architecture: Name,
        /// Its version.
        version: Name,
        /// Whether it was asked for, and not only brought by another.
        manual: bool,
        /// Whether it is held at its version.
        held: bool,
    }

    /// A snap.
    SnapPackage {
        /// Its name.
        name: Name,
        /// Its version, where the system runs.
        version: Option<Name>,
        /// Its revision.
        revision: Name,
        /// The channel that it follows.
        channel: Option<Name>,
        /// Whether it may do everything.
        classic: bool,
        /// Whether others rest on it, and it comes with them.
        base: bool,
    }

    /// A Flatpak application.
    FlatpakPackage {
        /// Whose it is; of the system if nobody's.
        user: Option<Name>,
        /// Its id.
        id: Name,
        /// Its branch.
        branch: Option<Name>,
        /// The remote that it comes from, where the system runs.
        origin: Option<Name>,
    }

    /// A package that pip has installed.
    PipPackage {
        /// Whose it is; of the system if nobody's.
        user: Option<Name>,
        /// For which Python, such as `python3.11`.
        python: Name,
        /// Its name.
        name: Name,
        /// Its version.
        version: Name,
        /// Whether it was asked for, and not only brought by another.
        requested: bool,
    }

    /// An application of pipx.
    PipxPackage {
        /// Whose it is.
        user: Name,
        /// The name of its environment.
        name: Name,
        /// What was asked for: a package, an address or a path.
        package: Name,
        /// Its version.
        version: Name,
        /// Packages that were added to it.
        injected: Vec<Name>,
    }

    /// A global package of npm.
    NpmPackage {
        /// Whose it is; of the system if nobody's.
        user: Option<Name>,
        /// Its name.
        name: Name,
        /// Its version.
        version: Option<Name>,
    }

    /// What `cargo install` has installed.
    CargoPackage {
        /// Whose it is.
        user: Name,
        /// Its name.
        name: Name,
        /// Its version.
        version: Name,
        /// Where it comes from, as Cargo writes it.
        source: Name,
    }

    /// What `go install` has installed.
    GoProgram {
        /// Whose it is.
        user: Name,
        /// The name of the program.
        name: Name,
        /// The path of its package, where `go` could be asked.
        package: Option<Name>,
        /// The version of its module.
        version: Option<Name>,
    }

    /// Where packages come from.
    Repositories {
        /// Files that name apt's sources.
        apt: Vec<AptSource>,
        /// The keys that apt trusts.
        keyrings: Vec<Keyring>,
        /// Remotes of Flatpak.
        flatpak: Vec<FlatpakRemote>,
    }

    /// A file that names sources of apt.
    AptSource {
        /// Where it is.
        path: Name,
        /// What it says, each entry for itself.
        entries: Vec<AptEntry>,
        /// All of it, without passwords.
        file: Kept,
        /// Whether there was a password in it, which is `***` now.
        password_removed: bool,
    }

    /// A source of apt.
    AptEntry {
        /// `deb`, `deb-src`.
        types: Vec<Name>,
        /// Its addresses.
        uris: Vec<Name>,
        /// Its suites.
        suites: Vec<Name>,
        /// Its components.
        components: Vec<Name>,
        /// What signs it: a file, or fingerprints.
        signed_by: Vec<Name>,
        /// Whether it is used.
        enabled: bool,
    }

    /// A file with keys that sign.
    Keyring {
        /// Where it is.
        path: Name,
        /// Fingerprints of the keys in it, in hexadecimal digits.
        fingerprints: Vec<String>,
        /// All of it.
        file: Kept,
    }

    /// A remote of Flatpak.
    FlatpakRemote {
        /// Whose it is; of the system if nobody's.
        user: Option<Name>,
        /// Its name.
        name: Name,
        /// Its address, without a password.
        url: Option<Name>,
    }

    /// A file, or what may be known of it.
    Kept {
        /// How large it is, in bytes.
        size: u64,
        /// Its permissions, as a number.
        mode: u32,
        /// Its SHA-256, unless it is secret or was too large to be read.
        sha256: Option<String>,
        /// What is in it.
        content: Option<Name>,
        /// Why that is missing.
        withheld: Option<Withheld>,
    }

    /// A file that somebody has set up.
    Dotfile {
        /// Whose it is.
        user: Name,
        /// Where it is in the home.
        path: Name,
        /// The file.
        file: Kept,
    }

    /// What starts by itself.
    Services {
        /// Units of systemd that were enabled or masked here.
        units: Vec<Unit>,
        /// Units and changes to units that were written here.
        files: Vec<UnitFile>,
    }

    /// A unit of systemd.
    Unit {
        /// Whose it is; of the system if nobody's, of all users if [`Scope::Users`].
        user: Option<Name>,
        /// Where it runs.
        scope: Scope,
        /// Its name.
        name: Name,
        /// What was decided about it.
        state: UnitState,
    }

    /// A unit that was written here, or a change to one.
    UnitFile {
        /// Whose it is; of the machine if nobody's.
        user: Option<Name>,
        /// Where it is.
        path: Name,
        /// The file.
        file: Kept,
    }

    /// What runs at its time.
    Cron {
        /// Cron tables.
        tables: Vec<CronTable>,
        /// Programs in `cron.daily` and the like.
        scripts: Vec<Name>,
        /// Timers of systemd that are enabled.
        timers: Vec<Name>,
    }

    /// A cron table.
    CronTable {
        /// Whose it is; of the system if nobody's.
        user: Option<Name>,
        /// Where it is; nowhere if `crontab` was asked.
        path: Option<Name>,
        /// Its lines that are no comments.
        jobs: Vec<Name>,
        /// All of it.
        file: Kept,
    }

    /// What networks are called.
    Network {
        /// Interfaces, from files and from the running machine.
        interfaces: Vec<Name>,
        /// Connections of NetworkManager.
        connections: Vec<Connection>,
        /// Other files that set up networks: their names alone.
        files: Vec<Name>,
    }

    /// A connection of NetworkManager, without any secret.
    Connection {
        /// Its name.
        name: Name,
        /// Its type, such as `wifi`.
        kind: Option<Name>,
        /// The name of the wireless network.
        ssid: Option<Name>,
        /// The interface that it is for.
        interface: Option<Name>,
    }

    /// A font.
    Font {
        /// Whose it is; of all if nobody's.
        user: Option<Name>,
        /// Its file.
        path: Name,
    }

    /// What was added to editors.
    Editors {
        /// Extensions of VS Code and those like it.
        extensions: Vec<Extension>,
        /// Plugins of Vim and Neovim.
        plugins: Vec<Plugin>,
    }

    /// An extension of VS Code.
    Extension {
        /// Whose it is.
        user: Name,
        /// The command of the editor, such as `code`.
        editor: Name,
        /// Its id: publisher and name.
        id: Name,
        /// Its version.
        version: Name,
    }

    /// A plugin of Vim.
    Plugin {
        /// Whose it is.
        user: Name,
        /// Its directory in the home.
        path: Name,
        /// Where its git repository comes from, without a password.
        origin: Option<Name>,
    }

    /// Containers and what they are made of.
    Containers {
        /// Images that have a name.
        images: Vec<Image>,
        /// Containers.
        containers: Vec<Container>,
        /// Files of Compose: where they are, not what is in them.
        compose_files: Vec<ComposeFile>,
    }

    /// An image.
    Image {
        /// `docker` or `podman`.
        engine: Name,
        /// Its name and tag.
        name: Name,
    }

    /// A container.
    Container {
        /// `docker` or `podman`.
        engine: Name,
        /// Its name.
        name: Name,
        /// Its image.
        image: Name,
    }

    /// A file of Compose.
    ComposeFile {
        /// Where it is.
        path: Name,
        /// Its SHA-256, if it could be read whole.
        sha256: Option<String>,
    }

    /// What is secret and was asked for.
    Secrets {
        /// Private keys of SSH and WireGuard.
        private_keys: Vec<SecretFile>,
        /// Connections and networks with their secrets.
        wifi: Vec<SecretFile>,
        /// What was typed into shells, the last of it.
        shell_history: Vec<SecretFile>,
    }

    /// A secret file.
    SecretFile {
        /// Where it is.
        path: Name,
        /// Its permissions, as a number.
        mode: u32,
        /// What is in it.
        content: Name,
        /// Whether there is more of it.
        cut: bool,
    }

    /// A program that was to be asked.
    Program {
        /// Its name.
        name: String,
        /// What came of it.
        state: ProgramState,
    }

    /// Something that is not in the inventory, and should be.
    Problem {
        /// Where it belongs.
        section: String,
        /// What happened.
        kind: ProblemKind,
        /// What it happened to: a path, or a command.
        what: Name,
        /// The cause.
        why: String,
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }
    )*};
}

kinds! {
    /// Why what is in a file is not in the inventory.
    Withheld {
        /// Nobody asked for it.
        NotAsked,
        /// There is a private key in it.
        PrivateKey,
        /// It is the history of a shell.
        History,
        /// It is not theirs in whose home it is: a link perhaps, to what they may not read.
        NotOwned,
        /// It is not what it should be.
        Unusable,
        /// It is larger than what is kept.
        TooLarge,
    }

    /// Where a unit runs.
    Scope {
        /// For the machine.
        System,
        /// For every user.
        Users,
        /// For one user.
        User,
    }

    /// What was decided about a unit.
    UnitState {
        /// It starts by itself.
        Enabled,
        /// It does not start at all.
        Masked,
    }

    /// What came of asking a program.
    ProgramState {
        /// It answered.
        Asked,
        /// It is not there.
        Missing,
        /// It is not on the machine that runs.
        NotRun,
        /// It failed.
        Failed,
    }

    /// What went wrong.
    ProblemKind {
        /// A file cannot be read.
        Unreadable,
        /// A file or an answer is not what it should be.
        Malformed,
        /// A program failed.
        Failed,
        /// There was more than an inventory keeps.
        Cut,
    }
}
