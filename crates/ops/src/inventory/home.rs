//! What people have set up for themselves: dotfiles, fonts.

use keepwatch_core::Name;

use super::collect::Look;
use super::model::{Dotfile, Font, User, Withheld};
use super::system::join;
use super::text::name;

/// What is looked for in each home. No file is among them whose purpose it is to hold a secret.
const DOTFILES: [&str; 40] = [
    ".XCompose",
    ".Xresources",
    ".bash_aliases",
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".clang-format",
    ".config/alacritty/alacritty.toml",
    ".config/fish/config.fish",
    ".config/foot/foot.ini",
    ".config/git/config",
    ".config/git/ignore",
    ".config/helix/config.toml",
    ".config/htop/htoprc",
    ".config/i3/config",
    ".config/kitty/kitty.conf",
    ".config/mimeapps.list",
    ".config/nvim/init.lua",
    ".config/nvim/init.vim",
    ".config/starship.toml",
    ".config/sway/config",
    ".config/tmux/tmux.conf",
    ".config/user-dirs.dirs",
    ".config/Code/User/keybindings.json",
    ".config/Code/User/settings.json",
    ".config/wezterm/wezterm.lua",
    ".editorconfig",
    ".emacs",
    ".gitconfig",
    ".gitignore_global",
    ".inputrc",
    ".nanorc",
    ".profile",
    ".ssh/config",
    ".tmux.conf",
    ".vimrc",
    ".zprofile",
    ".zsh_aliases",
    ".zshenv",
    ".zshrc",
];

pub(super) fn dotfiles(
    look: &Look<'_>,
    users: &[User],
    more: &[Name],
    contents: bool,
) -> Vec<Dotfile> {
    const SECTION: &str = "dotfiles";
    let mut paths: Vec<Name> = DOTFILES.iter().map(name).collect();
    paths.extend(more.iter().cloned());
    paths.sort();
    paths.dedup();
    let mut found = Vec::new();
    for user in users {
        for path in &paths {
            let of_history = is_history(&path.0);
            let full = join(&user.home.0, &path.0);
            let Some(mut file) =
                look.keep_of(SECTION, &user.home.0, &full, contents && !of_history)
            else {
                continue;
            };
            if of_history {
                file.withheld = Some(Withheld::History);
                file.sha256 = None;
            }
            found.push(Dotfile {
                user: user.name.clone(),
                path: path.clone(),
                file,
            });
        }
    }
    found.sort();
    found
}

/// `.bash_history`, `fish_history`, `.python_history`, `.lesshst` and the like.
pub(super) fn is_history(path: &[u8]) -> bool {
    let lower = path.to_ascii_lowercase();
    let holds = |what: &[u8]| lower.windows(what.len()).any(|part| part == what);
    holds(b"hist") || lower.ends_with(b".viminfo")
}

const FONTS: [&[u8]; 7] = [
    b".ttf", b".otf", b".ttc", b".pcf", b".pcf.gz", b".woff", b".woff2",
];

pub(super) fn fonts(look: &Look<'_>, users: &[User]) -> Vec<Font> {
    const SECTION: &str = "fonts";
    let mut places: Vec<(Option<&Name>, Vec<u8>)> =
        vec![(None, b"/usr/local/share/fonts".to_vec())];
    for user in users {
        for dir in [&b".local/share/fonts"[..], b".fonts"] {
            places.push((Some(&user.name), join(&user.home.0, dir)));
        }
    }
    let mut found = Vec::new();
    for (user, dir) in places {
        let files = look.find(
            SECTION,
            &dir,
            8,
            |_| true,
            |file| {
                let lower = file.to_ascii_lowercase();
                FONTS.iter().any(|ending| lower.ends_with(ending))
            },
        );
        found.extend(files.into_iter().map(|path| Font {
            user: user.cloned(),
            path: name(path),
        }));
    }
    found.sort();
    found
}
