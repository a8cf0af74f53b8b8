//! The folder of compiled code, and who tries to have their own run from it.

use super::*;
use std::time::Duration;

const ABC: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const DEF: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn engine() -> Engine {
    crate::engine::start(1, &crate::CallLimits::default()).unwrap()
}

fn empty_component(engine: &Engine) -> Component {
    // The eight bytes of a component without content.
    Component::from_binary(engine, b"\0asm\x0d\0\x01\0").unwrap()
}

fn config(dir: &Path, key: u8) -> CodeCache {
    CodeCache::new(dir.join("compiled"), Zeroizing::new([key; 32]))
}

fn open(dir: &Path, engine: &Engine) -> Cache {
    Cache::open(config(dir, 7), engine).unwrap()
}

impl Cache {
    fn path(&self, component_sha256: &str) -> PathBuf {
        self.dir.join(self.name(component_sha256))
    }
}

#[test]
fn what_was_kept_is_found_again_and_no_changed_byte_is_run() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    let cache = open(dir.path(), &engine);
    assert!(cache.get(&engine, ABC).is_none());
    cache.put(ABC, &empty_component(&engine));
    assert!(cache.get(&engine, ABC).is_some());
    assert!(open(dir.path(), &engine).get(&engine, ABC).is_some());
    let path = cache.path(ABC);
    let good = fs::read(&path).unwrap();
    // Of the seal, of the code's beginning, middle and end; and each length around the seal's.
    for at in [0, SEAL - 1, SEAL, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        assert!(cache.get(&engine, ABC).is_none(), "byte {at}");
    }
    for length in [0, 1, SEAL - 1, SEAL, SEAL + 1, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        assert!(cache.get(&engine, ABC).is_none(), "{length} bytes");
    }
    fs::write(&path, &good).unwrap();
    assert!(cache.get(&engine, ABC).is_some());
}

/// Of 4 TiB, which no machine has: the memory for it would be asked for before the seal is looked at.
#[cfg(unix)]
#[test]
fn a_file_that_says_to_be_larger_than_any_of_ours_is_a_miss_and_takes_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    let cache = open(dir.path(), &engine);
    cache.put(ABC, &empty_component(&engine));
    let file = fs::File::options().write(true).open(cache.path(ABC));
    let file = file.unwrap();
    for length in [4 << 40, u64::try_from(MAX_ENTRY).unwrap() + 1] {
        file.set_len(length).unwrap();
        assert!(cache.get(&engine, ABC).is_none(), "{length} bytes");
    }
}

#[test]
fn of_two_writes_of_one_entry_neither_writes_into_the_others() {
    assert_ne!(unfinished_ending(), unfinished_ending());
}

#[test]
fn the_folder_can_be_opened_by_several_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| (0..200).for_each(|_| drop(open(dir.path(), &engine))));
        }
    });
}

/// The attacker compiles with the very same engine and settings, and knows the format and everything but the key: code of
/// theirs is written in the place of an entry, with the digest that a format without a key would ask for, with their own
/// seal, and with the seal that was there.
#[test]
fn code_that_somebody_else_compiled_is_not_run_whatever_they_write_before_it() {
    use sha2::Digest as _;
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    let cache = open(dir.path(), &engine);
    cache.put(ABC, &empty_component(&engine));
    let path = cache.path(ABC);
    let ours = fs::read(&path).unwrap();
    let theirs = empty_component(&engine).serialize().unwrap();
    // It would run: nothing but the seal is in its way.
    assert!(mapped::load(&engine, &theirs).is_some());
    let attacker = tempfile::tempdir().unwrap();
    let their_cache = Cache::open(config(attacker.path(), 8), &engine).unwrap();
    their_cache.put(ABC, &empty_component(&engine));
    let their_seal = fs::read(their_cache.path(ABC)).unwrap()[..SEAL].to_vec();
    let mut their_code = theirs.clone();
    *their_code.last_mut().unwrap() ^= 1;
    for (seal, code) in [
        (Sha256::digest(&theirs).to_vec(), &theirs),
        (their_seal, &theirs),
        (vec![0; SEAL], &theirs),
        (ours[..SEAL].to_vec(), &their_code),
    ] {
        fs::write(&path, [seal.as_slice(), code].concat()).unwrap();
        assert!(cache.get(&engine, ABC).is_none());
    }
}

#[test]
fn an_entry_of_ours_under_another_components_or_engines_name_is_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    let cache = open(dir.path(), &engine);
    // One app's code, put in the place of another's, would run with the other's grants.
    cache.put(ABC, &empty_component(&engine));
    fs::copy(cache.path(ABC), cache.path(DEF)).unwrap();
    assert!(cache.get(&engine, DEF).is_none());
    // Code of an engine with a hole in it, under the name of the one that has it mended.
    let mut newer = open(dir.path(), &engine);
    newer.engine = "0123456789abcdef".to_owned();
    fs::copy(cache.path(ABC), newer.path(ABC)).unwrap();
    assert!(newer.get(&engine, ABC).is_none());
    assert!(cache.get(&engine, ABC).is_some());
}

#[cfg(unix)]
#[test]
fn a_folder_or_file_that_others_may_write_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    for mode in [0o770, 0o707, 0o750, 0o777] {
        let open = dir.path().join("compiled");
        fs::create_dir_all(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        let refused = Cache::open(config(dir.path(), 7), &engine).err().unwrap();
        assert!(
            refused.to_string().ends_with(
                "it is not a folder of this user's own that is closed to others; run as its owner, `chmod 700` it, or name another"
            ),
            "{refused}"
        );
        fs::remove_dir_all(&open).unwrap();
    }

    let cache = open(dir.path(), &engine);
    cache.put(ABC, &empty_component(&engine));
    fs::set_permissions(cache.path(ABC), fs::Permissions::from_mode(0o666)).unwrap();
    assert!(cache.get(&engine, ABC).is_none());
    fs::set_permissions(cache.path(ABC), fs::Permissions::from_mode(0o600)).unwrap();
    let target = dir.path().join("elsewhere");
    fs::rename(cache.path(ABC), &target).unwrap();
    std::os::unix::fs::symlink(&target, cache.path(ABC)).unwrap();
    assert!(cache.get(&engine, ABC).is_none());
    // A folder that is a link to one of ours is not the folder.
    let linked = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(dir.path().join("compiled"), linked.path().join("compiled"))
        .unwrap();
    assert!(Cache::open(config(linked.path(), 7), &engine).is_err());
}

// --- tidying up

/// Makes an entry of this many bytes, unused for that long.
fn entry(dir: &Path, name: &str, bytes: usize, unused: Duration, now: SystemTime) {
    let path = dir.join("compiled").join(name);
    fs::write(&path, vec![0; bytes]).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(now - unused).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir.join("compiled"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn name(digit: char, engine: char) -> String {
    let times = |c: char, n: usize| String::from(c).repeat(n);
    format!("{}-{}.cwasm", times(digit, 64), times(engine, 16))
}

#[test]
fn what_no_start_has_used_for_long_goes_and_what_is_in_use_stays_however_old() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    let cache = open(dir.path(), &engine);
    let now = SystemTime::now();
    // In use by this process: read at its start, although nobody had for a year.
    cache.put(ABC, &empty_component(&engine));
    let cache = open(dir.path(), &engine);
    let a_year_ago = now - 365 * DAY;
    let set = |at: SystemTime| {
        let path = cache.path(ABC);
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(at).unwrap();
    };
    set(a_year_ago);
    assert!(cache.get(&engine, ABC).is_some());
    let read_at = fs::metadata(cache.path(ABC)).unwrap().modified().unwrap();
    assert!(read_at > a_year_ago + 364 * DAY, "reading says when");
    set(a_year_ago);
    // Of this engine and of an older one.
    entry(dir.path(), &name('1', 'e'), 10, 31 * DAY, now);
    entry(dir.path(), &name('2', 'f'), 10, 31 * DAY, now);
    entry(dir.path(), &name('3', 'f'), 10, 29 * DAY, now);
    // Not ours to remove.
    entry(dir.path(), "notes.txt", 10, 400 * DAY, now);
    entry(dir.path(), "abc-def.cwasm", 10, 400 * DAY, now);
    let tidied = cache.tidy(now).unwrap();
    assert_eq!((tidied.removed, tidied.kept), (2, 2));
    let mut left = vec![
        cache.name(ABC),
        name('3', 'f'),
        "notes.txt".to_owned(),
        "abc-def.cwasm".to_owned(),
    ];
    left.sort();
    assert_eq!(names(dir.path()), left);
}

#[test]
fn beyond_the_size_the_longest_unused_goes_first_and_never_one_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    let mut cache = open(dir.path(), &engine);
    cache.put(ABC, &empty_component(&engine));
    let own = fs::metadata(cache.path(ABC)).unwrap().len();
    let now = SystemTime::now();
    let file = fs::File::options().write(true).open(cache.path(ABC));
    file.unwrap().set_modified(now - 20 * DAY).unwrap();
    for (digit, days) in [('1', 3), ('2', 9), ('3', 1), ('4', 6)] {
        entry(dir.path(), &name(digit, 'e'), 1000, days * DAY, now);
    }
    cache.bounds.bytes = own + 2500;
    let tidied = cache.tidy(now).unwrap();
    assert_eq!(
        tidied,
        Tidied {
            removed: 2,
            kept: 3,
            bytes: own + 2000
        }
    );
    let mut left = vec![cache.name(ABC), name('1', 'e'), name('3', 'e')];
    left.sort();
    assert_eq!(names(dir.path()), left);
    // Nothing more to do; and where what is in use is over the bound by itself, it stays.
    assert_eq!(cache.tidy(now).unwrap().removed, 0);
    cache.bounds.bytes = 1;
    let tidied = cache.tidy(now).unwrap();
    assert_eq!((tidied.removed, tidied.kept, tidied.bytes), (2, 1, own));
    assert!(cache.get(&engine, ABC).is_some());
}

#[test]
fn what_a_process_that_is_gone_left_unfinished_goes_and_a_write_under_way_stays() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    let cache = open(dir.path(), &engine);
    let now = SystemTime::now();
    let unfinished = |digit: char| {
        let path = PathBuf::from(name(digit, 'e')).with_extension(unfinished_ending());
        path.into_os_string().into_string().unwrap()
    };
    entry(dir.path(), &unfinished('1'), 10, 2 * UNFINISHED_FOR, now);
    entry(dir.path(), ".probe.4711", 0, 2 * UNFINISHED_FOR, now);
    let under_way = unfinished('2');
    entry(dir.path(), &under_way, 10, UNFINISHED_FOR / 2, now);
    // A clock that was set back: written in what is the future now.
    let path = dir.path().join("compiled").join(name('3', 'e'));
    fs::write(&path, b"x").unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(now + 90 * DAY).unwrap();
    cache.tidy(now).unwrap();
    assert_eq!(names(dir.path()), [under_way, name('3', 'e')]);
}

const UNFINISHED_FOR: Duration = Duration::from_secs(60 * 60);

#[cfg(unix)]
#[test]
fn a_link_in_the_folder_does_not_lead_to_what_it_points_at_being_removed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    let mut cache = open(dir.path(), &engine);
    cache.bounds.bytes = 0;
    let precious = dir.path().join("precious");
    fs::write(&precious, b"precious").unwrap();
    let link = dir.path().join("compiled").join(name('1', 'e'));
    std::os::unix::fs::symlink(&precious, &link).unwrap();
    // A folder of that name, too.
    fs::create_dir(dir.path().join("compiled").join(name('2', 'e'))).unwrap();
    cache.tidy(SystemTime::now() + 60 * DAY).unwrap();
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert_eq!(names(dir.path()), [name('2', 'e')]);
}
