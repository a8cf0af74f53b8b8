//! Lines 4, 6, 7 and 8: files that are left over, damaged, cut or missing. Every time: right rows, or an error that says so;
//! never a panic, a hang, a wrong row or an empty store.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyport_vault::store::Op;
use keyport_vault::{SledOptions, SledStore, Store, StoreError};

use crate::proof::{Dice, PATIENCE, SLOTS, Said, copy, files, full, round, round_of, row, small};

/// A closed store of `rounds` rounds with two snapshots, journal and index after them; gives what was acknowledged.
async fn made(folder: &Path, rounds: u64) -> Said {
    let mut said = Said::default();
    {
        let store = SledStore::open_with(folder, small()).unwrap();
        for n in 1..=rounds {
            store.commit(round(n)).await.unwrap();
            said.tried.insert(n);
            said.acked.insert(n);
            if n == rounds / 3 || n == rounds * 2 / 3 {
                store.snapshot().await.unwrap();
            }
        }
    }
    let names: Vec<String> = files(folder)
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    for (part, count) in [("/snapshots/", 2), ("/journal/", 2), ("/index/", 2)] {
        let found = names.iter().filter(|name| name.contains(part)).count();
        assert!(found >= count, "{found} files in {part}: {names:?}");
    }
    said
}

/// What a store with something wrong in it did.
#[derive(Debug, Default)]
struct Tally {
    right: usize,
    mended: usize,
    refused: usize,
    said: usize,
}

impl Tally {
    /// Opens, checks every row, lets it verify itself, checks again.
    async fn take(&mut self, folder: &Path, said: &Said, what: &str) {
        let store = match SledStore::open_with(folder, small()) {
            Ok(store) => store,
            Err(StoreError::Corrupt(why) | StoreError::Unavailable(why)) => {
                assert!(
                    why.contains("restore") || why.contains("store file"),
                    "{what}: {why}"
                );
                self.refused += 1;
                return;
            }
            Err(error) => panic!("{what}: {error}"),
        };
        let before = rows(&store, said, what).await;
        let report = store.verify().await.unwrap();
        let after = rows(&store, said, what).await;
        assert!(
            after.is_ok() || !report.damaged.is_empty(),
            "{what}: {after:?} was not said: {report:?}"
        );
        match (before, report.mended.is_empty(), report.damaged.is_empty()) {
            (_, _, false) => self.said += 1,
            (_, false, true) => self.mended += 1,
            (Ok(()), true, true) => self.right += 1,
            (Err(why), true, true) => panic!("{what}: {why}, and that was not said"),
        }
    }
}

/// Every row is right (`Ok`), or unreadable (`Err`); a wrong, older or missing one is a failure of the test.
async fn rows(store: &SledStore, said: &Said, what: &str) -> Result<(), StoreError> {
    let last = said.last_acked();
    let mut unreadable = Ok(());
    for slot in 0..SLOTS {
        for side in ["left", "right"] {
            match store.get(&row(side, slot)).await {
                Ok(Some(rec)) => {
                    let n = round_of(&rec.value);
                    let expected = (0..=last).rev().find(|n| n % SLOTS == slot).unwrap();
                    assert_eq!(n, expected, "{what}: an older row in slot {slot}");
                }
                Ok(None) => panic!("{what}: the row in slot {slot} is missing"),
                Err(error) => unreadable = Err(error),
            }
        }
    }
    for gone in 0..last / 7 {
        match store.get(&row("gone", gone)).await {
            Ok(rec) => assert_eq!(rec, None, "{what}: a deletion was undone"),
            Err(error) => unreadable = Err(error),
        }
    }
    unreadable
}

#[tokio::test]
async fn line_06_a_flipped_bit_or_a_cut_tail_in_any_file_is_mended_or_said() {
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    let said = made(&whole, 120).await;
    let mut dice = Dice::new("flips and cuts");
    let each = if full() { 300 } else { 5 };
    let mut tally = Tally::default();
    for file in files(&whole) {
        let name = file.strip_prefix(&whole).unwrap();
        if name == Path::new("lock") {
            continue;
        }
        let len = std::fs::metadata(&file).unwrap().len();
        for number in 0..each {
            for cut in [false, true] {
                if len == 0 {
                    continue;
                }
                let folder = place.path().join("damaged");
                copy(&whole, &folder);
                // A part in each stretch of the file, so that a short run sees all of it.
                let stretch = len.div_ceil(each);
                let at = (number * stretch + dice.below(stretch)).min(len - 1);
                let mut bytes = std::fs::read(&file).unwrap();
                let index = usize::try_from(at).unwrap();
                match cut {
                    true => bytes.truncate(index),
                    false => bytes[index] ^= 1 << dice.below(8),
                }
                std::fs::write(folder.join(name), bytes).unwrap();
                let kind = if cut { "cut" } else { "a bit flipped" };
                let what = format!("{} {kind} at {at} of {len}", name.display());
                tally.take(&folder, &said, &what).await;
                std::fs::remove_dir_all(&folder).unwrap();
            }
        }
    }
    println!("{tally:?}");
    assert!(
        tally.right > 0 && tally.mended > 0 && tally.refused > 0,
        "{tally:?}"
    );
}

/// The files are damaged while the store runs: what is read is right or an error, and verifying mends it or says it.
#[tokio::test]
async fn line_06_a_bit_flipped_under_a_running_store_is_mended_or_said() {
    use std::os::unix::fs::FileExt;
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    let said = made(&whole, 120).await;
    let mut dice = Dice::new("flips in a running store");
    let each = if full() { 100 } else { 4 };
    let (mut mended, mut damaged) = (0, 0);
    for file in files(&whole) {
        let name = file.strip_prefix(&whole).unwrap().to_owned();
        let len = std::fs::metadata(&file).unwrap().len();
        let data = ["snapshots", "journal"]
            .iter()
            .any(|part| name.starts_with(part));
        for _ in 0..if data { each } else { 0 } {
            let folder = place.path().join("damaged");
            copy(&whole, &folder);
            let store = SledStore::open_with(&folder, small()).unwrap();
            let at = dice.below(len);
            let what = format!(
                "{} a bit flipped at {at} of {len} while it runs",
                name.display()
            );
            let open = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(folder.join(&name));
            let open = match open {
                Ok(open) => open,
                // A snapshot that was due at the start has taken its place already: there is nothing to flip.
                Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => panic!("{what}: {error}"),
            };
            let mut byte = [0];
            open.read_exact_at(&mut byte, at).unwrap();
            byte[0] ^= 1 << dice.below(8);
            open.write_all_at(&byte, at).unwrap();
            let before = rows(&store, &said, &what).await;
            let report = store.verify().await.unwrap();
            let after = rows(&store, &said, &what).await;
            assert!(
                after.is_ok() || !report.damaged.is_empty(),
                "{what}: {after:?}"
            );
            assert!(
                before.is_ok() || !(report.mended.is_empty() && report.damaged.is_empty()),
                "{what}: {before:?}"
            );
            mended += usize::from(!report.mended.is_empty());
            damaged += usize::from(!report.damaged.is_empty());
            // What verifying left behind holds after a restart, too.
            drop(store);
            if let Ok(store) = SledStore::open_with(&folder, small()) {
                let again = rows(&store, &said, &what).await;
                assert!(
                    again.is_ok() || !report.damaged.is_empty(),
                    "{what}: {again:?}"
                );
            }
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }
    println!("{mended} mended, {damaged} said");
    assert!(mended > 0);
}

#[tokio::test]
async fn line_07_one_damaged_part_does_not_fail_the_reads_of_others() {
    use std::os::unix::fs::FileExt;
    let place = tempfile::tempdir().unwrap();
    made(place.path(), 120).await;
    let store = SledStore::open_with(place.path(), small()).unwrap();
    let wanted = store.get(&row("left", 5)).await.unwrap().unwrap();
    // Every place where the bytes of this one row stand, under the running store.
    let mut spoiled = 0;
    for file in files(place.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes
            .windows(wanted.value.len())
            .position(|window| window == wanted.value);
        if let Some(at) = found {
            let open = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
            open.write_all_at(&[0xff; 16], u64::try_from(at).unwrap() + 20)
                .unwrap();
            spoiled += 1;
        }
    }
    assert!(spoiled > 0);
    let (mut right, mut wrong) = (0, 0);
    for slot in 0..SLOTS {
        for side in ["left", "right"] {
            match store.get(&row(side, slot)).await {
                Ok(rec) => {
                    round_of(&rec.unwrap().value);
                    right += 1;
                }
                Err(_) => wrong += 1,
            }
        }
    }
    assert!(
        wrong <= 1 && right >= 2 * SLOTS - 1,
        "{right} right, {wrong} unreadable"
    );
    // A list with it is shown, other rows with it are read, and verifying names it.
    let both = store
        .get_many(&[row("left", 5), row("left", 6)])
        .await
        .unwrap();
    assert_eq!(both[0].as_ref().unwrap().value.is_empty(), wrong == 1);
    round_of(&both[1].as_ref().unwrap().value);
    let page = store.scan(b"r/left/", None, 100).await.unwrap();
    assert_eq!(u64::try_from(page.len()).unwrap(), SLOTS);
    let report = store.verify().await.unwrap();
    assert!(
        wrong == 0
            || report
                .damaged
                .iter()
                .any(|what| what.contains("r/left/005")),
        "{report:?}"
    );
    // Written anew it is whole.
    let n = 120 / SLOTS * SLOTS + SLOTS + 5;
    store.commit(round(n)).await.unwrap();
    let rec = store.get(&row("left", 5)).await.unwrap().unwrap();
    assert_eq!(round_of(&rec.value), n);
}

#[tokio::test]
async fn line_08_a_deleted_file_leads_to_mending_or_refusal_and_never_to_an_empty_store() {
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    let said = made(&whole, 120).await;
    let mut gone: Vec<PathBuf> = files(&whole);
    gone.extend(["index", "journal", "snapshots"].map(|part| whole.join(part)));
    for entry in std::fs::read_dir(whole.join("index")).unwrap() {
        gone.push(entry.unwrap().path());
    }
    for missing in gone {
        let name = missing.strip_prefix(&whole).unwrap();
        let folder = place.path().join("without");
        copy(&whole, &folder);
        match missing.is_dir() {
            true => std::fs::remove_dir_all(folder.join(name)).unwrap(),
            false => std::fs::remove_file(folder.join(name)).unwrap(),
        }
        for _ in 0..2 {
            let mut tally = Tally::default();
            let what = format!("without {}", name.display());
            tally.take(&folder, &said, &what).await;
            assert!(
                !name.starts_with("index") || tally.refused == 0,
                "{what}: not mended"
            );
            let vital = ["journal", "STORE"]
                .iter()
                .any(|part| name == Path::new(part));
            assert!(!vital || tally.refused == 1, "{what}: not refused");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[tokio::test]
async fn line_04_left_over_files_of_any_size_never_prevent_opening() {
    let place = tempfile::tempdir().unwrap();
    let said = made(place.path(), 60).await;
    for size in [0, 1, 500, 100_000, 5_000_000] {
        let index = std::fs::read_dir(place.path().join("index"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let left = [
            index.join("snap.0000000000000FFF.generating"),
            index.join("snap.00000000FFFFFFFF.generating"),
            place.path().join("snapshots/00000000000000ff.snap.new"),
            place.path().join("journal/00000000000000ff.wal.new"),
            place.path().join("STORE.new"),
            place.path().join("index/0000000000000001.7"),
        ];
        for path in &left {
            std::fs::write(path, vec![0xff; size]).unwrap();
        }
        let store = SledStore::open_with(place.path(), small()).unwrap();
        rows(&store, &said, "left-over files").await.unwrap();
        assert!(!left[0].exists() && !left[2].exists() && !left[3].exists());
    }
}

#[tokio::test]
async fn an_index_of_an_earlier_day_is_brought_up_to_date() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("store");
    let index = folder.join("index");
    {
        let store = SledStore::open_with(&folder, small()).unwrap();
        store.commit(round(1)).await.unwrap();
    }
    copy(&index, &place.path().join("kept"));
    {
        let store = SledStore::open_with(&folder, small()).unwrap();
        let mut commit = round(1 + SLOTS);
        commit.ops.push(Op::Put(row("left", 9), vec![1; 8].into()));
        store.commit(commit).await.unwrap();
    }
    std::fs::remove_dir_all(&index).unwrap();
    copy(&place.path().join("kept"), &index);
    let store = SledStore::open_with(&folder, small()).unwrap();
    let rec = store.get(&row("left", 1)).await.unwrap().unwrap();
    assert_eq!(round_of(&rec.value), 1 + SLOTS);
    assert!(store.get(&row("left", 9)).await.unwrap().is_some());
}

/// The end of the journal is lost, but the index has heard of it: that is said, and not taken for the truth.
#[tokio::test]
async fn a_journal_of_an_earlier_day_beside_a_newer_index_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("store");
    {
        let store = SledStore::open_with(&folder, small()).unwrap();
        store.commit(round(1)).await.unwrap();
    }
    copy(&folder.join("journal"), &place.path().join("kept"));
    {
        let store = SledStore::open_with(&folder, small()).unwrap();
        store.commit(round(2)).await.unwrap();
    }
    std::fs::remove_dir_all(folder.join("journal")).unwrap();
    copy(&place.path().join("kept"), &folder.join("journal"));
    let refused = SledStore::open_with(&folder, small()).err().unwrap();
    assert!(
        refused.to_string().contains("the journal has lost"),
        "{refused}"
    );
}

/// Nobody asks: the background finds a flipped bit and mends it.
#[tokio::test]
async fn line_06_damage_is_found_and_mended_in_the_background() {
    let place = tempfile::tempdir().unwrap();
    let said = made(place.path(), 120).await;
    let options = SledOptions {
        scrub_every: Some(Duration::from_millis(20)),
        ..small()
    };
    let store = SledStore::open_with(place.path(), options).unwrap();
    let newest = files(&place.path().join("snapshots")).pop().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[200] ^= 4;
    std::fs::write(&newest, bytes).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !place.path().join("quarantine").is_dir() {
        assert!(Instant::now() < deadline, "it is not found");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rows(&store, &said, "mended in the background")
        .await
        .unwrap();
    // And there are two good ones again.
    while files(&place.path().join("snapshots")).len() < 2 {
        assert!(Instant::now() < deadline, "no new snapshot is made");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let report = store.verify().await.unwrap();
    assert_eq!(report.damaged, Vec::<String>::new());
}

#[tokio::test]
async fn snapshots_of_the_same_rows_have_files_of_their_own() {
    let place = tempfile::tempdir().unwrap();
    let said = made(place.path(), 60).await;
    {
        let store = SledStore::open_with(place.path(), small()).unwrap();
        for _ in 0..4 {
            store.snapshot().await.unwrap();
            assert_eq!(files(&place.path().join("snapshots")).len(), 2);
        }
        store.commit(round(61)).await.unwrap();
        store.snapshot().await.unwrap();
        assert_eq!(files(&place.path().join("snapshots")).len(), 2);
    }
    // Either is enough.
    for number in [0, 1] {
        let folder = place.path().join("copy");
        for part in ["journal", "snapshots", "index"] {
            copy(&place.path().join(part), &folder.join(part));
        }
        std::fs::copy(place.path().join("STORE"), folder.join("STORE")).unwrap();
        std::fs::remove_file(&files(&folder.join("snapshots"))[number]).unwrap();
        let store = SledStore::open_with(&folder, small()).unwrap();
        let rec = store.get(&row("left", 61 % SLOTS)).await.unwrap().unwrap();
        assert_eq!(round_of(&rec.value), 61);
        let others: usize = store.scan(b"r/left/", None, 100).await.unwrap().len();
        assert_eq!(u64::try_from(others).unwrap(), SLOTS);
        assert_eq!(said.last_acked(), 60);
        drop(store);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
