//! The two bars of the image writer, on the disk under `TMPDIR` (or the directory given as argument):
//!
//! * a 1 GiB raw image at no less than 80 % of `dd bs=4M`,
//! * qcow2 at no less than `qemu-img convert`'s speed,
//!
//! both in less than 64 MB. Every measured run is a process of its own, so that its peak memory is its own; contestants
//! take turns, and medians are printed. The writer hashes the image while it writes, which the others don't.
//!
//! `cargo bench -p disk --bench write_image [-- DIRECTORY [ROUNDS]]`; needs `dd`, `qemu-img`, 4 GiB of space.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use disk::{
    Algorithm, Checksum, Disk, FileSource, Hasher, ImageSource, Policy, WriteOptions, inspect_image,
    write_image,
};

const SIZE: u64 = 1 << 30;
const DEFAULT_ROUNDS: usize = 7;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match &arguments[..] {
        [mode, image, target, checksum] if mode == "--write" => write_once(image, target, checksum),
        [directory, rounds] => compare(Path::new(directory), rounds.parse()?),
        [directory] => compare(Path::new(directory), DEFAULT_ROUNDS),
        _ => compare(&std::env::temp_dir(), DEFAULT_ROUNDS),
    }
}

/// What the agent does, in a process of its own. Prints milliseconds and the peak of memory in KiB.
fn write_once(image: &str, target: &str, checksum: &str) -> Result<()> {
    let started = Instant::now();
    let mut source = FileSource::open(image)?;
    let size = inspect_image(&mut source, None, &disk::Format::ALL)?.virtual_bytes.unwrap_or(0);
    let target = Disk::create(target, size)?;
    let checksum = match checksum {
        "none" => None,
        hex => Some(Checksum::parse(None, hex, Policy { is_md5_allowed: true })?),
    };
    let options = WriteOptions { checksum, ..WriteOptions::default() };
    let report = write_image(&mut source, &target, &options, &mut |_| {})?;
    let total = started.elapsed();
    let unsynced = total - report.sync_time;
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .map_or("0", |l| l.trim().trim_end_matches(" kB"));
    println!("{} {} {peak}", total.as_millis(), unsynced.as_millis());
    Ok(())
}

fn compare(directory: &Path, rounds: usize) -> Result<()> {
    let directory = directory.join(format!("billet-bench-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let result = run_all(&directory, rounds);
    fs::remove_dir_all(&directory)?;
    result
}

fn run_all(directory: &Path, rounds: usize) -> Result<()> {
    let at = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let (noise, mixed, out) = (at("noise.raw"), at("mixed.raw"), at("out"));
    make_image(&noise, false)?;
    make_image(&mixed, true)?;

    println!("1 GiB raw, no zeros; medians of {rounds}, MiB/s of guest data");
    for algorithm in [None, Some(Algorithm::Sha256), Some(Algorithm::Sha512), Some(Algorithm::Md5)] {
        let checksum = algorithm.map_or(Ok("none".into()), |a| hash(&noise, a))?;
        let (input, output) = (format!("if={noise}"), format!("of={out}"));
        let dd = [&input, &output, "bs=4M", "status=none"];
        let dd_sync = [&input, &output, "bs=4M", "status=none", "conv=fsync"];
        contest(
            &format!("raw, {}", algorithm.map_or("no checksum", Algorithm::name)),
            &[&noise, &out, &checksum],
            ("dd", &dd),
            ("dd", &dd_sync),
            0.8,
            rounds,
        )?;
    }

    println!("\n1 GiB qcow2: a third noise, a third text, a third zeros; sha256 of the image file");
    let kinds: &[(&str, &[&str])] = &[
        ("qcow2, plain, no checksum", &[]),
        ("qcow2, plain", &[]),
        ("qcow2, zlib", &["-c"]),
        ("qcow2, zstd", &["-c", "-o", "compression_type=zstd"]),
        ("qcow2, zlib, 2 MiB clusters", &["-c", "-o", "cluster_size=2M"]),
    ];
    let image = at("image.qcow2");
    for (name, options) in kinds {
        let all = [&["convert", "-f", "raw", "-O", "qcow2"], *options, &[&mixed, &image]].concat();
        run("qemu-img", &all)?;
        let checksum =
            if name.ends_with("no checksum") { "none".into() } else { hash(&image, Algorithm::Sha256)? };
        let convert = ["convert", "-f", "qcow2", "-O", "raw", &image, &out];
        let convert_sync = ["convert", "-t", "writeback", "-f", "qcow2", "-O", "raw", &image, &out];
        contest(
            name,
            &[&image, &out, &checksum],
            ("qemu-img", &convert),
            ("qemu-img", &convert_sync),
            1.0,
            rounds,
        )?;
        run("qemu-img", &["compare", "-f", "raw", "-F", "raw", &mixed, &out])?;
    }
    Ok(())
}

/// Lets the writer and a tool take turns. `cached` leaves the data in the page cache, `synced` waits for the disk; the writer's
/// run is measured at both points.
fn contest(
    name: &str,
    write: &[&str; 3],
    cached: (&str, &[&str]),
    synced: (&str, &[&str]),
    bar: f64,
    rounds: usize,
) -> Result<()> {
    let own = std::env::current_exe()?;
    let own = own.to_string_lossy();
    let (mut ours, mut ours_cached, mut theirs, mut theirs_cached) = (vec![], vec![], vec![], vec![]);
    let mut peak = 0;
    for _ in 0..rounds {
        theirs_cached.push(timed(write[1], cached)?.0);
        theirs.push(timed(write[1], synced)?.0);
        let (_, printed) = timed(write[1], (&own, &["--write", write[0], write[1], write[2]]))?;
        let numbers: Vec<u64> = printed.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let [total, unsynced, rss] = numbers[..] else { return Err(format!("unexpected: {printed}").into()) };
        ours.push(total as f64 / 1e3);
        ours_cached.push(unsynced as f64 / 1e3);
        peak = peak.max(rss);
    }
    for (when, ours, theirs) in
        [("to the page cache", ours_cached, theirs_cached), ("to the disk", ours, theirs)]
    {
        let (ours, theirs) = (speed(ours), speed(theirs));
        let ratio = ours / theirs;
        let verdict = if ratio >= bar { "ok" } else { "BELOW THE BAR" };
        println!(
            "  {name:<28} {when:<18} writer {ours:5.0}   {:<8} {theirs:5.0}   {ratio:.2} (bar {bar}) {verdict}",
            cached.0
        );
    }
    println!("  {name:<28} peak memory {:.1} MB of 64", peak as f64 * 1024.0 / 1e6);
    Ok(())
}

/// Runs a contestant on a target that doesn't exist, with nothing left to write back from the one before.
fn timed(target: &str, (program, arguments): (&str, &[&str])) -> Result<(f64, String)> {
    let _ = fs::remove_file(target);
    run("sync", &[])?;
    let started = Instant::now();
    let printed = run(program, arguments)?;
    Ok((started.elapsed().as_secs_f64(), printed))
}

fn speed(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_unstable_by(f64::total_cmp);
    SIZE as f64 / f64::from(1 << 20) / seconds[seconds.len() / 2]
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn make_image(path: &str, is_mixed: bool) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = vec![0; 256 << 10];
    for index in 0..SIZE / block.len() as u64 {
        for (i, word) in block.chunks_exact_mut(8).enumerate() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let bytes = match (is_mixed, index / 4 % 3) {
                (true, 1) => WORDS[(state % 8) as usize],
                (true, 2) => [0; 8],
                _ => (state.wrapping_add(i as u64)).to_le_bytes(),
            };
            word.copy_from_slice(&bytes);
        }
        out.write_all(&block)?;
    }
    out.into_inner()?.sync_all()?;
    Ok(())
}

const WORDS: [[u8; 8]; 8] = [
    *b"billet, ",
    *b"of wood ",
    *b"or metal",
    *b"; lodged",
    *b" upon a ",
    *b"machine\n",
    *b"0x7f454c",
    *b"46020101",
];

fn hash(path: &str, algorithm: Algorithm) -> Result<String> {
    let mut hasher = Hasher::new(algorithm);
    let mut source = FileSource::open(path)?;
    let mut stream = source.stream()?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(hasher.finish().to_string()),
            n => hasher.update(&buffer[..n]),
        }
    }
}
