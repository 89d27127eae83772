#
#   bash FILE              does what is not done yet
#   DRY_RUN=1 bash FILE    only says what it would do
#   REPLACE=1 bash FILE    replaces files that are there already, and keeps them beside
#
# As root, or as somebody whose sudo asks nothing. Packages are those of the repositories today,
# which need not be of the versions that the inventory names.
set -u -o pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive GIT_TERMINAL_PROMPT=0 PIP_BREAK_SYSTEM_PACKAGES=1
DRY_RUN=${DRY_RUN:-0}
REPLACE=${REPLACE:-0}
failures=0

say() { printf 'rebuild: %s\n' "$1"; }

failed() {
    failures=$((failures + 1))
    printf 'rebuild: failed:' >&2
    printf ' %q' "$@" >&2
    printf '\n' >&2
}

finish() {
    if [ "$failures" -gt 0 ]; then
        printf 'rebuild: %s failed\n' "$failures" >&2
        exit 1
    fi
    say 'done'
}

have() { command -v -- "$1" >/dev/null 2>&1; }

# Runs a command that gets nothing to read, so that it cannot ask.
run() {
    if [ "$DRY_RUN" = 1 ]; then
        printf 'would run:'
        printf ' %q' "$@"
        printf '\n'
        return 0
    fi
    "$@" </dev/null
}

must() { run "$@" || failed "$@"; }

# Puts what stands before a command that is to be run by a user into `as`.
as=()
become() { # user
    if [ "$(id -un)" = "$1" ]; then
        as=()
    elif [ "$(id -u)" = 0 ]; then
        as=(runuser -u "$1" -- env HOME="$(home_of "$1")")
    else
        as=(sudo -n -H -u "$1" --)
    fi
}

home_of() { getent passwd "$1" | cut -d: -f6; }

has_user() { # user
    if [ -z "$(home_of "$1")" ]; then
        failed 'there is no user' "$1"
        return 1
    fi
}

needs() { # program
    if have "$1"; then return 0; fi
    if [ "$DRY_RUN" = 1 ]; then
        printf 'would need: %q\n' "$1"
        return 0
    fi
    failed 'there is no program' "$1"
    return 1
}

# Reads a file from standard input and puts it in its place as the user that `as` stands for.
place='umask 077
mkdir -p -- "$(dirname -- "$1")" || exit
if [ -e "$1" ]; then cp -p -- "$1" "$1.before-rebuild" || exit; fi
new=$(mktemp -- "$1.XXXXXX") || exit
cat >"$new" && chmod -- "$2" "$new" && mv -f -- "$new" "$1" && exit
rm -f -- "$new"
exit 1'

put() { # user path mode content-in-base64
    local user=$1 path=$2 mode=$3 content=$4
    become "$user"
    if "${as[@]}" test -e "$path"; then
        if printf '%s' "$content" | base64 -d | "${as[@]}" cmp -s -- - "$path"; then return; fi
        if [ "$REPLACE" != 1 ]; then
            printf 'rebuild: kept as it is: %q\n' "$path"
            return
        fi
    fi
    if [ "$DRY_RUN" = 1 ]; then
        printf 'would write: %q\n' "$path"
        return
    fi
    printf '%s' "$content" | base64 -d | "${as[@]}" sh -c "$place" sh "$path" "$mode" ||
        failed 'to write' "$path"
}

put_at_home() { # user path-in-the-home mode content-in-base64
    has_user "$1" || return
    put "$1" "$(home_of "$1")/$2" "$3" "$4"
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

apt_get() {
    run "${as[@]}" apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

apt_update() {
    become root
    apt_get update || failed 'to update the lists of packages'
}

apt_install() { # package...
    local package missing=() present=() brought=()
    for package in "$@"; do
        if installed "$package"; then present+=("$package"); else missing+=("$package"); fi
    done
    become root
    if [ "${#present[@]}" -gt 0 ]; then
        # What another package has brought must stay without it.
        package=$(apt-mark showauto -- "${present[@]}")
        if [ -n "$package" ]; then mapfile -t brought <<<"$package"; fi
    fi
    if [ "${#brought[@]}" -gt 0 ]; then must "${as[@]}" apt-mark manual -- "${brought[@]}"; fi
    if [ "${#missing[@]}" -eq 0 ]; then return; fi
    apt_get install -- "${missing[@]}" && return
    # One that there is no more must not keep the others away.
    for package in "${missing[@]}"; do
        apt_get install -- "$package" || failed 'to install' "$package"
    done
}

apt_hold() { # package...
    become root
    must "${as[@]}" apt-mark hold -- "$@"
}

snap_install() { # name channel-or-nothing classic-or-nothing
    needs snap || return
    if snap list -- "$1" >/dev/null 2>&1; then return; fi
    become root
    must "${as[@]}" snap install ${2:+"--channel=$2"} ${3:+--classic} -- "$1"
}

flatpak_remote() { # user-or-nothing name address-of-its-description
    needs flatpak || return
    local whose=--system
    if [ -n "$1" ]; then
        has_user "$1" || return
        whose=--user
    fi
    become "${1:-root}"
    must "${as[@]}" flatpak remote-add --if-not-exists "$whose" -- "$2" "$3"
}

flatpak_install() { # user-or-nothing remote application
    needs flatpak || return
    local whose=--system
    if [ -n "$1" ]; then
        has_user "$1" || return
        whose=--user
    fi
    become "${1:-root}"
    if "${as[@]}" flatpak info "$whose" -- "$3" >/dev/null 2>&1; then return; fi
    must "${as[@]}" flatpak install "$whose" --noninteractive -y -- "$2" "$3"
}

pip_install() { # user-or-nothing package...
    needs python3 || return
    local user=$1 whose=()
    shift
    if [ -n "$user" ]; then
        has_user "$user" || return
        whose=(--user)
    fi
    become "${user:-root}"
    must "${as[@]}" env PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --no-input "${whose[@]}" -- "$@"
}

pipx_install() { # user package
    needs pipx || return
    has_user "$1" || return
    become "$1"
    must "${as[@]}" pipx install "$2"
}

npm_install() { # user-or-nothing package...
    needs npm || return
    local user=$1 where=()
    shift
    if [ -n "$user" ]; then
        has_user "$user" || return
        where=(--prefix "$(home_of "$user")/.npm-global")
    fi
    become "${user:-root}"
    must "${as[@]}" npm install --global --no-fund --no-audit "${where[@]}" -- "$@"
}

# Programs of languages are looked for where they put themselves.
tool_of() { # user program directories...
    local user=$1 program=$2 dir
    shift 2
    for dir in "$@"; do
        dir=$(home_of "$user")/$dir/$program
        if [ -x "$dir" ]; then
            printf '%s' "$dir"
            return
        fi
    done
    printf '%s' "$program"
}

cargo_install() { # user crate...
    has_user "$1" || return
    local user=$1 cargo
    shift
    cargo=$(tool_of "$user" cargo .cargo/bin)
    needs "$cargo" || return
    become "$user"
    must "${as[@]}" "$cargo" install -- "$@"
}

go_install() { # user package@version
    needs go || return
    has_user "$1" || return
    become "$1"
    must "${as[@]}" go install -- "$2"
}

unit_enable() { # unit
    needs systemctl || return
    if systemctl is-enabled --quiet -- "$1" >/dev/null 2>&1; then return; fi
    become root
    must "${as[@]}" systemctl enable -- "$1"
}

unit_mask() { # unit
    needs systemctl || return
    if [ "$(systemctl is-enabled -- "$1" 2>/dev/null)" = masked ]; then return; fi
    become root
    must "${as[@]}" systemctl mask -- "$1"
}

unit_of_all_users() { # enable-or-mask unit
    needs systemctl || return
    become root
    must "${as[@]}" systemctl --global "$1" -- "$2"
}

# Their own systemd need not run for it.
unit_of_user() { # user enable-or-mask unit
    needs systemctl || return
    has_user "$1" || return
    become "$1"
    must "${as[@]}" env SYSTEMD_OFFLINE=1 systemctl --user "$2" -- "$3"
}

crontab_of() { # user content-in-base64
    needs crontab || return
    has_user "$1" || return
    local now
    become "$1"
    now=$("${as[@]}" crontab -l 2>/dev/null | base64 -w 0)
    if [ "$now" = "$2" ]; then return; fi
    if [ -n "$now" ] && [ "$REPLACE" != 1 ]; then
        printf 'rebuild: kept as it is: the cron table of %q\n' "$1"
        return
    fi
    if [ "$DRY_RUN" = 1 ]; then
        printf 'would write: the cron table of %q\n' "$1"
        return
    fi
    printf '%s' "$2" | base64 -d | "${as[@]}" crontab - || failed 'to write the cron table of' "$1"
}

extension_install() { # user editor extension
    needs "$2" || return
    has_user "$1" || return
    become "$1"
    must "${as[@]}" "$2" --install-extension "$3"
}

plugin_clone() { # user directory-in-the-home address
    needs git || return
    has_user "$1" || return
    local dir
    dir=$(home_of "$1")/$2
    become "$1"
    if "${as[@]}" test -e "$dir"; then return; fi
    must "${as[@]}" git clone --quiet -- "$3" "$dir"
}

image_pull() { # engine image
    needs "$1" || return
    become root
    if "${as[@]}" "$1" image inspect -- "$2" >/dev/null 2>&1; then return; fi
    must "${as[@]}" "$1" pull -- "$2"
}
