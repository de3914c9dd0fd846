//! A small ISO 9660 image: a few files, with Rock Ridge and Joliet names.
//!
//! Own writer, one file: `hadris-iso` (2.5; 3.0 is a release candidate with another interface) stamps every record with
//! the time of writing, so that the same config drive would never have the same bytes, and brings a clock library into the
//! ramdisk.
//! Sources: ECMA-119 (records, descriptors, path tables), SUSP and RRIP 1.12 (SP, ER, PX, TF, NM), Joliet specification.

use std::collections::BTreeMap;

const BLOCK: usize = 2048;
const SYSTEM_BLOCKS: usize = 16;
/// Primary, Joliet, terminator.
const DESCRIPTORS: usize = 3;
/// Little and big endian for each of the two trees.
const PATH_TABLES: usize = 4;
const FIRST_DIRECTORY: usize = SYSTEM_BLOCKS + DESCRIPTORS + PATH_TABLES;

/// 1 January 2000, midnight UTC: the same input must give the same bytes.
const RECORD_TIME: [u8; 7] = [100, 1, 1, 0, 0, 0, 0];
const VOLUME_TIME: &[u8; 17] = b"2000010100000000\0";
const NO_TIME: &[u8; 17] = b"0000000000000000\0";

const FLAG_DIRECTORY: u8 = 2;

/// The two ways of naming the same files.
#[derive(Clone, Copy, PartialEq)]
enum Tree {
    /// Upper-case names, Rock Ridge beside them.
    Primary,
    /// UCS-2 names.
    Joliet,
}

#[derive(Default)]
struct Directory {
    parent: usize,
    directories: BTreeMap<String, usize>,
    files: BTreeMap<String, usize>,
}

/// A placed extent: first block, length in bytes.
#[derive(Clone, Copy, Default)]
struct Extent {
    block: usize,
    length: usize,
}

struct Image<'a> {
    directories: Vec<Directory>,
    contents: Vec<&'a [u8]>,
    /// By file.
    files: Vec<Extent>,
    /// By tree, then by directory.
    places: [Vec<Extent>; 2],
}

/// Renders an image of `files` (path with `/`, contents) with the volume name `label`. Paths are ours, not a stranger's: short
/// ASCII names (at most 60 characters), at most eight levels; path tables stay within a block.
pub(crate) fn write(label: &str, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut image = Image {
        directories: vec![Directory::default()],
        contents: Vec::new(),
        files: Vec::new(),
        places: [Vec::new(), Vec::new()],
    };
    for (path, contents) in files {
        image.insert(path, contents);
    }
    image.place();
    image.render(label)
}

impl<'a> Image<'a> {
    fn insert(&mut self, path: &str, contents: &'a [u8]) {
        let mut at = 0;
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        for part in parents.split('/').filter(|p| !p.is_empty()) {
            at = match self.directories[at].directories.get(part) {
                Some(next) => *next,
                None => {
                    let next = self.directories.len();
                    self.directories.push(Directory { parent: at, ..Directory::default() });
                    self.directories[at].directories.insert(part.to_owned(), next);
                    next
                }
            };
        }
        self.directories[at].files.insert(name.to_owned(), self.contents.len());
        self.contents.push(contents);
    }

    /// Gives everything its blocks: directories of both trees, then the files, which the trees share.
    fn place(&mut self) {
        let count = self.directories.len();
        self.files = self.contents.iter().map(|c| Extent { block: 0, length: c.len() }).collect();
        self.places = [vec![Extent::default(); count], vec![Extent::default(); count]];
        let mut block = FIRST_DIRECTORY;
        for tree in [Tree::Primary, Tree::Joliet] {
            for directory in 0..count {
                let length = self.directory(tree, directory).len();
                self.places[tree as usize][directory] = Extent { block, length };
                block += length / BLOCK;
            }
        }
        for file in &mut self.files {
            file.block = block;
            block += file.length.div_ceil(BLOCK);
        }
    }

    /// A directory's records, padded to whole blocks.
    fn directory(&self, tree: Tree, index: usize) -> Vec<u8> {
        let places = &self.places[tree as usize];
        let directory = &self.directories[index];
        let links = 2 + directory.directories.len() as u32;
        let parent_links = 2 + self.directories[directory.parent].directories.len() as u32;
        let mut own = if index == 0 && tree == Tree::Primary { rock_ridge_root() } else { Vec::new() };
        own.extend(rock_ridge(tree, None, 0o040555, links));
        let up = rock_ridge(tree, None, 0o040555, parent_links);
        let mut records = vec![
            record(&[0], places[index], FLAG_DIRECTORY, &own),
            record(&[1], places[directory.parent], FLAG_DIRECTORY, &up),
        ];
        let mut named: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (name, child) in &directory.directories {
            let links = 2 + self.directories[*child].directories.len() as u32;
            let id = identifier(tree, name, true);
            let system_use = rock_ridge(tree, Some(name), 0o040555, links);
            named.push((id.clone(), record(&id, places[*child], FLAG_DIRECTORY, &system_use)));
        }
        for (name, file) in &directory.files {
            let id = identifier(tree, name, false);
            let system_use = rock_ridge(tree, Some(name), 0o100444, 1);
            named.push((id.clone(), record(&id, self.files[*file], 0, &system_use)));
        }
        named.sort();
        records.extend(named.into_iter().map(|(_, record)| record));
        let mut bytes = Vec::new();
        for record in records {
            // No record may cross a block's end.
            if bytes.len() % BLOCK + record.len() > BLOCK {
                bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
            }
            bytes.extend(record);
        }
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    /// Directories in a path table's order: by level, then by parent, then by name.
    fn path_order(&self, tree: Tree) -> Vec<(Vec<u8>, usize)> {
        let mut order = vec![(vec![0], 0)];
        let mut next = 0;
        while let Some((_, index)) = order.get(next) {
            let children = &self.directories[*index].directories;
            let mut named: Vec<_> =
                children.iter().map(|(n, child)| (identifier(tree, n, true), *child)).collect();
            named.sort();
            order.extend(named);
            next += 1;
        }
        order
    }

    fn path_table(&self, tree: Tree, is_little: bool) -> Vec<u8> {
        let order = self.path_order(tree);
        let mut bytes = Vec::new();
        for (id, index) in &order {
            let parent = self.directories[*index].parent;
            let number = order.iter().position(|(_, i)| *i == parent).unwrap_or(0) as u16 + 1;
            let block = self.places[tree as usize][*index].block as u32;
            bytes.extend([id.len() as u8, 0]);
            if is_little {
                bytes.extend(block.to_le_bytes());
                bytes.extend(number.to_le_bytes());
            } else {
                bytes.extend(block.to_be_bytes());
                bytes.extend(number.to_be_bytes());
            }
            bytes.extend(id);
            if id.len() % 2 == 1 {
                bytes.push(0);
            }
        }
        bytes
    }

    fn descriptor(&self, tree: Tree, label: &str, blocks: usize) -> Vec<u8> {
        let text = |text: &str, length: usize| match tree {
            Tree::Primary => padded(text.as_bytes(), length, b" "),
            Tree::Joliet => padded(&ucs2(text), length, b"\0 "),
        };
        let table = SYSTEM_BLOCKS + DESCRIPTORS + 2 * tree as usize;
        let mut d = Vec::with_capacity(BLOCK);
        d.extend([if tree == Tree::Primary { 1 } else { 2 }]);
        d.extend(b"CD001\x01\0");
        d.extend(text("LINUX", 32));
        d.extend(text(label, 32));
        d.extend([0; 8]);
        d.extend(both32(blocks));
        let mut escapes = [0; 32];
        if tree == Tree::Joliet {
            escapes[..3].copy_from_slice(b"%/E");
        }
        d.extend(escapes);
        d.extend(both16(1));
        d.extend(both16(1));
        d.extend(both16(BLOCK as u16));
        d.extend(both32(self.path_table(tree, true).len()));
        d.extend((table as u32).to_le_bytes());
        d.extend([0; 4]);
        d.extend((table as u32 + 1).to_be_bytes());
        d.extend([0; 4]);
        d.extend(record(&[0], self.places[tree as usize][0], FLAG_DIRECTORY, &[]));
        for length in [128, 128, 128, 128, 37, 37, 37] {
            d.extend(text("", length));
        }
        d.extend(VOLUME_TIME);
        d.extend(VOLUME_TIME);
        d.extend(NO_TIME);
        d.extend(NO_TIME);
        d.push(1);
        d.resize(BLOCK, 0);
        d
    }

    fn render(&self, label: &str) -> Vec<u8> {
        let files_end = self.files.iter().map(|f| f.block + f.length.div_ceil(BLOCK)).max();
        let directories_end = self.places.iter().flatten().map(|p| p.block + p.length / BLOCK).max();
        let blocks = files_end.max(directories_end).unwrap_or(FIRST_DIRECTORY);
        let mut out = vec![0; blocks * BLOCK];
        let mut put = |block: usize, data: &[u8]| out[block * BLOCK..][..data.len()].copy_from_slice(data);
        put(SYSTEM_BLOCKS, &self.descriptor(Tree::Primary, label, blocks));
        put(SYSTEM_BLOCKS + 1, &self.descriptor(Tree::Joliet, label, blocks));
        put(SYSTEM_BLOCKS + 2, b"\xffCD001\x01");
        for tree in [Tree::Primary, Tree::Joliet] {
            let table = SYSTEM_BLOCKS + DESCRIPTORS + 2 * tree as usize;
            put(table, &self.path_table(tree, true));
            put(table + 1, &self.path_table(tree, false));
            for (index, place) in self.places[tree as usize].iter().enumerate() {
                put(place.block, &self.directory(tree, index));
            }
        }
        for (contents, place) in self.contents.iter().zip(&self.files) {
            put(place.block, contents);
        }
        out
    }
}

fn both16(value: u16) -> [u8; 4] {
    let (l, b) = (value.to_le_bytes(), value.to_be_bytes());
    [l[0], l[1], b[0], b[1]]
}

fn both32(value: usize) -> [u8; 8] {
    let (l, b) = ((value as u32).to_le_bytes(), (value as u32).to_be_bytes());
    [l[0], l[1], l[2], l[3], b[0], b[1], b[2], b[3]]
}

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn padded(text: &[u8], length: usize, filler: &[u8]) -> Vec<u8> {
    text.iter().chain(filler.iter().cycle().skip(text.len() % filler.len())).take(length).copied().collect()
}

fn identifier(tree: Tree, name: &str, is_directory: bool) -> Vec<u8> {
    match tree {
        // Without a version, which Joliet allows and mkisofs does.
        Tree::Joliet => ucs2(name),
        Tree::Primary => {
            let plain = |c: char| match c.to_ascii_uppercase() {
                c @ ('A'..='Z' | '0'..='9' | '.') => c,
                _ => '_',
            };
            let end = match (is_directory, name.contains('.')) {
                (true, _) => "",
                (false, true) => ";1",
                (false, false) => ".;1",
            };
            format!("{}{end}", name.chars().map(plain).collect::<String>()).into_bytes()
        }
    }
}

/// ECMA-119 9.1.
fn record(id: &[u8], place: Extent, flags: u8, system_use: &[u8]) -> Vec<u8> {
    let mut r = vec![0, 0];
    r.extend(both32(place.block));
    r.extend(both32(place.length));
    r.extend(RECORD_TIME);
    r.extend([flags, 0, 0]);
    r.extend(both16(1));
    r.push(id.len() as u8);
    r.extend(id);
    if r.len() % 2 == 1 {
        r.push(0);
    }
    r.extend(system_use);
    if r.len() % 2 == 1 {
        r.push(0);
    }
    r[0] = r.len() as u8;
    r
}

/// What the first record of the root says: that there is a system use area (SP), and that it is Rock Ridge (ER).
fn rock_ridge_root() -> Vec<u8> {
    let mut s = b"SP\x07\x01\xbe\xef\0".to_vec();
    s.extend(b"ER\x12\x01\x0a\0\0\x01RRIP_1991A");
    s
}

/// Mode, links, times and the true name of a file.
fn rock_ridge(tree: Tree, name: Option<&str>, mode: usize, links: u32) -> Vec<u8> {
    if tree == Tree::Joliet {
        return Vec::new();
    }
    let mut s = b"PX\x24\x01".to_vec();
    for value in [mode, links as usize, 0, 0] {
        s.extend(both32(value));
    }
    // Modified, accessed, attributes changed.
    s.extend(b"TF\x1a\x01\x0e");
    for _ in 0..3 {
        s.extend(RECORD_TIME);
    }
    if let Some(name) = name {
        s.extend([b'N', b'M', 5 + name.len() as u8, 1, 0]);
        s.extend(name.as_bytes());
    }
    s
}
