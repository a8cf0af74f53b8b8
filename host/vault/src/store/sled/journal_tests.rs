use super::super::frame::{Frame, Raw, Tree};
use super::super::journal::Journal;
use super::*;

const STORE: StoreId = StoreId([7; 16]);
const SIZE: u64 = 600;

fn frame(sequence: u64) -> Vec<u8> {
    let frame = Frame {
        first: sequence,
        last: sequence,
        changes: vec![Raw {
            tree: Tree::Rows,
            key: sequence.to_be_bytes().to_vec(),
            value: Some(vec![0xab; 20]),
        }],
    };
    frame.encode().unwrap().bytes
}

fn append(journal: &mut Journal, sequence: u64) {
    let frame = frame(sequence);
    assert!(journal.fits(frame.len()));
    journal.append(&frame, sequence).unwrap();
}

/// A journal with frames 1, 2, 3 in one segment; gives the segment's path.
fn three() -> (tempfile::TempDir, Journal, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::begin(folder.path(), STORE, 1, SIZE, 0).unwrap();
    for sequence in 1..=3 {
        append(&mut journal, sequence);
    }
    let path = folder.path().join("0000000000000001.wal");
    (folder, journal, path)
}

/// The sequences that are recovered, and how many bytes were torn.
fn read_all(folder: &Path, after: u64) -> Result<(Vec<u64>, u64), StoreError> {
    let mut sequences = Vec::new();
    let recovered = recover(folder, STORE, after, |frame, _, _| {
        sequences.push(frame.first);
    })?
    .unwrap();
    assert_eq!(recovered.last, sequences.last().copied().unwrap_or(after));
    Ok((sequences, recovered.torn))
}

fn refused(folder: &Path) -> bool {
    matches!(read_all(folder, 0), Err(StoreError::Corrupt(_)))
}

#[test]
fn what_was_appended_is_recovered_in_order() {
    let (folder, _, _) = three();
    assert_eq!(read_all(folder.path(), 0).unwrap(), (vec![1, 2, 3], 0));
    assert_eq!(read_all(folder.path(), 2).unwrap(), (vec![3], 0));
}

/// Line 5: a write that a crash cut short at any byte. The rest of the file is zeros, as it was made.
#[test]
fn line_05_a_tail_torn_at_every_byte_keeps_what_was_before_it_and_is_counted() {
    let (folder, _, path) = three();
    let whole = std::fs::read(&path).unwrap();
    let frame = frame(1).len();
    for kept in 1..frame {
        let mut torn = whole.clone();
        // The third frame up to there, and no mark behind it.
        let from = HEADER + 2 * frame + kept;
        torn[from..].fill(0);
        std::fs::write(&path, &torn).unwrap();
        let (sequences, bytes) = read_all(folder.path(), 0).unwrap();
        if torn[HEADER + 2 * frame..] == whole[HEADER + 2 * frame..HEADER + 3 * frame] {
            continue;
        }
        assert_eq!(sequences, [1, 2], "torn after {kept}");
        let last = torn.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        assert_eq!(bytes, u64::try_from(last - HEADER - 2 * frame).unwrap());
        // What goes on from there is read back without a trace of what was torn.
        let recovered = recover(folder.path(), STORE, 0, |_, _, _| {})
            .unwrap()
            .unwrap();
        let mut journal = Journal::resume(folder.path(), STORE, &recovered, SIZE).unwrap();
        append(&mut journal, 3);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn a_frame_that_reached_the_disk_in_any_mixture_of_halves_is_torn_and_never_half_read() {
    let (folder, _, path) = three();
    let whole = std::fs::read(&path).unwrap();
    let (begins, ends) = (HEADER + 2 * frame(1).len(), HEADER + 3 * frame(1).len());
    for from in begins..ends {
        let mut torn = whole.clone();
        // The first part never arrived, and neither did the mark.
        torn[begins..=from].fill(0);
        torn[ends..].fill(0);
        if torn[..ends] == whole[..ends] {
            continue;
        }
        std::fs::write(&path, &torn).unwrap();
        assert_eq!(read_all(folder.path(), 0).unwrap().0, [1, 2]);
    }
}

#[test]
fn a_bit_flipped_in_anything_acknowledged_is_refused_and_never_skipped() {
    let (folder, _, path) = three();
    let whole = std::fs::read(&path).unwrap();
    let acknowledged = HEADER + 3 * frame(1).len();
    for byte in 0..whole.len() {
        let mut changed = whole.clone();
        changed[byte] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        match byte < acknowledged {
            true => assert!(refused(folder.path()), "byte {byte}"),
            // The mark, or zeros behind it: nothing is lost.
            false => assert_eq!(read_all(folder.path(), 0).unwrap().0, [1, 2, 3]),
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_or_has_lost_zeros_only() {
    let (folder, _, path) = three();
    let whole = std::fs::read(&path).unwrap();
    let marked = HEADER + 3 * frame(1).len() + MARK;
    for len in 0..whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        if len < marked {
            assert!(refused(folder.path()), "cut to {len}");
            continue;
        }
        let recovered = recover(folder.path(), STORE, 0, |_, _, _| {})
            .unwrap()
            .unwrap();
        assert_eq!(recovered.last, 3);
        Journal::resume(folder.path(), STORE, &recovered, SIZE).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "cut to {len}");
    }
}

#[test]
fn segments_follow_each_other_and_a_missing_one_is_noticed() {
    let (folder, mut journal, first) = three();
    journal.rotate(0).unwrap();
    append(&mut journal, 4);
    journal.rotate(0).unwrap();
    append(&mut journal, 5);
    assert_eq!(read_all(folder.path(), 0).unwrap().0, [1, 2, 3, 4, 5]);
    assert_eq!(read_all(folder.path(), 4).unwrap().0, [5]);
    let segments: Vec<PathBuf> = list(folder.path())
        .unwrap()
        .into_iter()
        .map(|(_, path)| path)
        .collect();
    assert_eq!(segments.len(), 3);
    for missing in &segments {
        let kept = std::fs::read(missing).unwrap();
        std::fs::remove_file(missing).unwrap();
        assert!(refused(folder.path()), "{}", missing.display());
        std::fs::write(missing, kept).unwrap();
    }
    // What a snapshot holds is not read, so it may go, or be damaged.
    std::fs::write(&first, b"nothing").unwrap();
    assert_eq!(read_all(folder.path(), 3).unwrap().0, [4, 5]);
    std::fs::remove_file(&first).unwrap();
    assert_eq!(read_all(folder.path(), 3).unwrap().0, [4, 5]);
    assert!(refused(folder.path()));
}

#[test]
fn a_frame_larger_than_a_segment_gets_one_of_its_own() {
    let (folder, mut journal, _) = three();
    let frame = Frame {
        first: 4,
        last: 4,
        changes: vec![Raw {
            tree: Tree::Rows,
            key: b"large".to_vec(),
            value: Some(vec![1; 5000]),
        }],
    }
    .encode()
    .unwrap()
    .bytes;
    assert!(!journal.fits(frame.len()));
    journal.rotate(u64::try_from(frame.len()).unwrap()).unwrap();
    assert!(journal.fits(frame.len()));
    journal.append(&frame, 4).unwrap();
    assert_eq!(read_all(folder.path(), 0).unwrap().0, [1, 2, 3, 4]);
}

#[test]
fn another_stores_journal_is_refused() {
    let (folder, _, _) = three();
    let foreign = recover(folder.path(), StoreId([8; 16]), 0, |_, _, _| {});
    assert!(matches!(foreign, Err(StoreError::Corrupt(_))));
}

#[test]
fn a_segment_that_was_being_made_is_removed() {
    let (folder, _, _) = three();
    let unfinished = folder.path().join("0000000000000004.wal.new");
    std::fs::write(&unfinished, b"half").unwrap();
    assert_eq!(read_all(folder.path(), 0).unwrap().0, [1, 2, 3]);
    assert!(!unfinished.exists());
}

#[test]
fn an_empty_segment_that_was_not_gone_on_with_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::begin(folder.path(), STORE, 1, 2 * SIZE, 0).unwrap();
    for sequence in 1..=3 {
        append(&mut journal, sequence);
    }
    // Made while the disk failed; the older one goes on past its beginning.
    let stale = Journal::begin(folder.path(), STORE, 4, SIZE, 0).unwrap();
    drop(stale);
    append(&mut journal, 4);
    assert_eq!(read_all(folder.path(), 0).unwrap().0, [1, 2, 3, 4]);
    assert_eq!(read_all(folder.path(), 4).unwrap().0, Vec::<u64>::new());
    let recovered = recover(folder.path(), STORE, 0, |_, _, _| {})
        .unwrap()
        .unwrap();
    let mut journal = Journal::resume(folder.path(), STORE, &recovered, SIZE).unwrap();
    append(&mut journal, 5);
    journal.rotate(0).unwrap();
    append(&mut journal, 6);
    assert_eq!(read_all(folder.path(), 0).unwrap().0, [1, 2, 3, 4, 5, 6]);
    assert_eq!(read_all(folder.path(), 3).unwrap().0, [4, 5, 6]);
    // One that only looks empty is refused.
    let path = folder.path().join("0000000000000006.wal");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[HEADER] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(refused(folder.path()));
}
