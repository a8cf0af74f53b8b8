//! Line 2: the power fails. Only what an fsync of the file covered is left, and names only as of the last fsync of their
//! folder; in a second form any mixture of sectors that were written since is left as well.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::proof::{Dice, Hurt, check, files, full, start, until};

const SECTOR: usize = 512;

#[tokio::test]
async fn line_02_nothing_acknowledged_is_missing_after_the_loss_of_every_byte_without_fsync() {
    let place = tempfile::tempdir().unwrap();
    let mut dice = Dice::new("power cuts");
    let cuts = if full() { 60 } else { 8 };
    let acks = place.path().join("acks");
    let mut folder = place.path().join("store-0");
    std::fs::create_dir(&folder).unwrap();
    let mut lost = 0;
    for cut in 0..cuts {
        let shadow = place.path().join(format!("shadow-{cut}"));
        std::fs::create_dir(&shadow).unwrap();
        // What is there when the machine starts is on the disk.
        seed(&folder, &shadow);
        let mut process = start(&folder, &acks, 0, Hurt::Shadow(&shadow));
        let wanted = crate::proof::Said::read(&acks).last_acked() + dice.below(150);
        until(&mut process, &acks, wanted);
        process.kill().unwrap();
        process.wait().unwrap();
        // A second one: the same, but parts of what was written since are there, too.
        let left = place.path().join(format!("store-{}", cut + 1));
        let mixed = cut % 2 == 1;
        let present = if mixed {
            live(&folder)
        } else {
            BTreeMap::new()
        };
        std::fs::create_dir(&left).unwrap();
        lost += restore(&shadow, &id(&folder), &left, &present, &mut dice);
        check(&left, &acks).await;
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::remove_dir_all(&shadow).unwrap();
        folder = left;
    }
    println!("{cuts} power cuts, {lost} bytes differed from what the process had written");
    assert!(lost > 0, "nothing was lost, so nothing was shown");
}

/// How the shim names a file.
fn id(path: &Path) -> String {
    let meta = std::fs::metadata(path).unwrap();
    let born = meta
        .created()
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    format!("{}-{}-{}", meta.ino(), born.as_secs(), born.subsec_nanos())
}

/// Fills the shadow with all that is there.
fn seed(folder: &Path, shadow: &Path) {
    let mut listing = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let kind = if path.is_dir() { 'd' } else { 'f' };
        listing.push_str(&format!("{kind}-{} {name}\n", id(&path)));
        match path.is_dir() {
            true => seed(&path, shadow),
            false => std::fs::copy(&path, shadow.join(format!("f-{}", id(&path))))
                .map(|_| ())
                .unwrap(),
        }
    }
    std::fs::write(shadow.join(format!("d-{}", id(folder))), listing).unwrap();
}

/// All files by the shim's name for them.
fn live(folder: &Path) -> BTreeMap<String, PathBuf> {
    files(folder)
        .into_iter()
        .map(|path| (id(&path), path))
        .collect()
}

/// Makes the folder as it is after the power cut; gives how many bytes are not as the process wrote them.
fn restore(
    shadow: &Path,
    folder: &str,
    to: &Path,
    live: &BTreeMap<String, PathBuf>,
    dice: &mut Dice,
) -> u64 {
    let mut lost = 0;
    let listing = std::fs::read_to_string(shadow.join(format!("d-{folder}"))).unwrap_or_default();
    for line in listing.lines() {
        let (id, name) = line.split_once(' ').unwrap();
        let (kind, id) = id.split_at(2);
        let target = to.join(name);
        if kind == "d-" {
            std::fs::create_dir(&target).unwrap();
            lost += restore(shadow, id, &target, live, dice);
            continue;
        }
        // A name that is durable while nothing of its file is: an empty file.
        let mut bytes = std::fs::read(shadow.join(format!("f-{id}"))).unwrap_or_default();
        if let Some(written) = live.get(id).and_then(|path| std::fs::read(path).ok()) {
            let old = bytes.clone();
            bytes.resize(bytes.len().max(written.len()), 0);
            for (sector, new) in bytes.chunks_mut(SECTOR).zip(written.chunks(SECTOR)) {
                if dice.below(2) == 0 {
                    sector[..new.len()].copy_from_slice(new);
                }
            }
            let same = bytes
                .iter()
                .zip(&written)
                .filter(|(one, other)| one == other)
                .count();
            lost += u64::try_from(written.len().max(old.len()) - same).unwrap();
        } else {
            lost += 1;
        }
        std::fs::write(&target, bytes).unwrap();
    }
    lost
}
