//! DESIGN 6.2: kill -9 proves no flush, so this traces the system calls. For every acknowledged object an fsync or
//! fdatasync of its pack ended after the pack's last write and before the answer was written to the peer.

use std::collections::HashMap;

use isocenter_tests::archive::{Backend, TestArchive};
use isocenter_tests::samples::Sample;

/// One finished system call of the trace: when it ended, its name and its arguments.
struct Call<'a> {
    ended: f64,
    name: &'a str,
    line: &'a str,
}

/// Returns the calls of an `strace -f -ttt -T -yy` log, joining those that were interrupted by another thread's line.
fn calls(log: &str) -> Vec<(f64, String)> {
    let mut open: HashMap<&str, String> = HashMap::new();
    let mut done = Vec::new();
    for line in log.lines() {
        let mut words = line.splitn(3, char::is_whitespace).filter(|w| !w.is_empty());
        let (Some(pid), Some(rest)) = (words.next(), line.split_once(' ').map(|(_, rest)| rest)) else {
            continue;
        };
        let rest = rest.trim_start();
        let Some((stamp, call)) = rest.split_once(' ') else {
            continue;
        };
        let Ok(stamp) = stamp.parse::<f64>() else { continue };
        if call.contains("<unfinished ...>") {
            open.insert(pid, call.replace("<unfinished ...>", ""));
        } else if let Some(resumed) = call.strip_prefix("<... ") {
            let tail = resumed.split_once("resumed>").map_or("", |(_, tail)| tail);
            let head = open.remove(pid).unwrap_or_default();
            // -T on the resumed line is the whole call; the line's stamp is its end.
            done.push((stamp, format!("{head}{tail}")));
        } else {
            let lasted = call
                .rsplit_once('<')
                .and_then(|(_, t)| t.trim_end_matches('>').parse::<f64>().ok());
            done.push((stamp + lasted.unwrap_or(0.0), call.to_owned()));
        }
    }
    done.sort_by(|a, b| a.0.total_cmp(&b.0));
    done
}

/// Returns the path of the file that a call works on, which `-yy` writes beside its descriptor: `fsync(31</path>)`.
/// What follows the path differs: a call that another thread interrupted has been joined from two lines.
fn file_of(line: &str) -> &str {
    let from = line.find('<').map_or(line.len(), |at| at + 1);
    line.get(from..).and_then(|rest| rest.split('>').next()).unwrap_or("")
}

#[test]
fn a_flush_that_another_thread_interrupts_keeps_its_file_and_its_end() {
    let log = "7 10.000001 write(31</blobs/a>, \"x\", 1) = 1 <0.000010>\n\
               7 10.000020 fdatasync(31</blobs/a> <unfinished ...>\n\
               8 10.000030 fsync(9</blobs>) = 0 <0.000005>\n\
               7 10.000090 <... fdatasync resumed>) = 0 <0.000070>\n";
    let calls = calls(log);
    let files: Vec<&str> = calls.iter().map(|(_, line)| file_of(line)).collect();
    assert_eq!(files, ["/blobs/a", "/blobs", "/blobs/a"]);
    assert!(
        calls[2].0 > 10.00008 && calls[2].1.starts_with("fdatasync("),
        "{:?}",
        calls[2]
    );
}

#[tokio::test]
async fn every_answer_follows_the_flush_of_its_pack() {
    let mut archive = TestArchive::start(Backend::Embedded).await;
    let path = archive.keeps_as_sent();
    archive.stop();
    let trace = archive.scratch().join("trace");
    let calls_of =
        "openat,write,writev,pwrite64,pwritev,fsync,fdatasync,rename,renameat,renameat2,linkat,sendto,sendmsg,close";
    archive
        .launch_wrapped(&[
            "strace",
            // the tracer as a process of its own, so that the child is the archive
            "-D",
            "-f",
            "-ttt",
            "-T",
            "-yy",
            "-s",
            "64",
            "-e",
            &format!("trace={calls_of}"),
            "-o",
            trace.to_str().unwrap(),
        ])
        .await;
    let admin = archive.admin.clone();
    let objects = 20;
    for number in 1..=objects {
        let (status, body) = archive
            .stow(&path, &[Sample::new(1, 1, number).sized(128).file()], Some(&admin))
            .await;
        assert_eq!(status, 200, "{body}");
    }
    let pid = archive.pid();
    archive.stop();
    // With -D the tracer is a process of its own, which ends its log after the traced one has gone.
    let end = format!("{pid}");
    let mut log = String::new();
    for _ in 0..200 {
        log = std::fs::read_to_string(&trace).unwrap();
        if log
            .lines()
            .any(|line| line.starts_with(&end) && line.contains("+++ exited"))
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let all = calls(&log);
    let calls: Vec<Call<'_>> = all
        .iter()
        .map(|(ended, line)| Call {
            ended: *ended,
            name: line.split('(').next().unwrap_or(""),
            line,
        })
        .collect();
    // Answers: what is written to a TCP socket and begins an HTTP 200.
    let answers: Vec<f64> = calls
        .iter()
        .filter(|c| c.line.contains("TCP:") && c.line.contains("HTTP/1.1 200"))
        .map(|c| c.ended)
        .collect();
    assert!(
        answers.len() >= objects as usize,
        "{} answers in the trace",
        answers.len()
    );
    let is_write = |c: &Call<'_>| c.name.contains("write") && c.line.contains("/blobs/");
    let is_flush = |c: &Call<'_>| (c.name == "fsync" || c.name == "fdatasync") && c.line.contains("/blobs/");
    let mut before = f64::MIN;
    let mut proven = 0;
    for answer in &answers[answers.len() - objects as usize..] {
        let (from, to) = (before, *answer);
        let window: Vec<&Call<'_>> = calls.iter().filter(|c| c.ended > from && c.ended < to).collect();
        // Each file is flushed itself, after its own last write: the folder's flush says nothing of its content.
        let mut last: HashMap<&str, f64> = HashMap::new();
        for write in window.iter().filter(|c| is_write(c)) {
            let ended = last.entry(file_of(write.line)).or_insert(f64::MIN);
            *ended = ended.max(write.ended);
        }
        assert!(!last.is_empty(), "an answer without a write before it");
        for (written, ended) in &last {
            let flushed = window
                .iter()
                .filter(|c| is_flush(c))
                .any(|c| file_of(c.line) == *written && c.ended > *ended);
            assert!(
                flushed,
                "{written} was not flushed between its last write and the answer"
            );
        }
        // The name must be durable too: a folder, not one of the files, is flushed after the rename.
        let renamed = window
            .iter()
            .filter(|c| (c.name.starts_with("rename") || c.name == "linkat") && c.line.contains("/blobs/"))
            .map(|c| c.ended)
            .fold(f64::MIN, f64::max);
        assert!(
            renamed > f64::MIN,
            "a pack appears under its name whole, by a rename or a link"
        );
        let named = window
            .iter()
            .filter(|c| is_flush(c))
            .any(|c| !last.contains_key(file_of(c.line)) && c.ended > renamed);
        assert!(named, "the pack's name was not flushed before the answer");
        before = *answer;
        proven += 1;
    }
    assert_eq!(proven, objects);
}
