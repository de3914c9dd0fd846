//! Large objects: what they are made of, found when they are read.

use super::bodies::Piece;
use super::digest::md5;
use super::door::{Guest, reaches};
use crate::cloud::{Call, CloudError};
use axum::http::StatusCode;
use model::object_store::{
    Collector, Container, Entry, LISTING_LIMIT, Listing, MAX_MANIFEST_DEPTH, Manifest, Object, Segment,
    parse_ranges,
};
use std::collections::HashMap;
use store::StoreError;

/// Pieces that one answer is put together from.
const PIECES: usize = 10_000;

/// An object as it is read.
#[derive(Debug)]
pub(super) struct View {
    /// Bytes.
    pub size: u64,
    /// ETag without quotes.
    pub etag: String,
    /// Segments of a dynamic large object, as they are now.
    segments: Option<Vec<Object>>,
}

impl View {
    /// The object's own bytes, whatever it is made of.
    pub fn of_own_bytes(object: &Object) -> Self {
        Self { size: unsigned(object.stored_bytes), etag: object.etag.clone(), segments: None }
    }

    /// The text of a manifest, in place of what it stands for.
    pub fn of_text(text: &str) -> Self {
        Self { size: text.len() as u64, etag: md5(&[text.as_bytes()]), segments: None }
    }
}

/// A stretch of an object that is yet to be looked up.
struct Want {
    container: String,
    object: String,
    /// What the manifest says that it is.
    etag: Option<String>,
    start: u64,
    length: u64,
    depth: usize,
}

/// Looks at an object; of a dynamic large one, at its segments too.
pub(super) async fn view(call: &Call, guest: &Guest, object: &Object) -> Result<View, CloudError> {
    let Some(Manifest::Dynamic { container, prefix }) = &object.manifest else {
        return Ok(View { size: unsigned(object.bytes), etag: object.etag.clone(), segments: None });
    };
    let segments = match Finder::new(call, guest).container(container).await {
        Ok(container) => dynamic_segments(call, &container, prefix).await?,
        Err(error) if error.status == StatusCode::NOT_FOUND => Vec::new(),
        Err(error) => return Err(error),
    };
    let hashes: Vec<&[u8]> = segments.iter().map(|segment| segment.etag.as_bytes()).collect();
    Ok(View {
        size: segments.iter().map(|segment| unsigned(segment.bytes)).sum(),
        etag: md5(&hashes),
        segments: Some(segments),
    })
}

async fn dynamic_segments(
    call: &Call,
    container: &Container,
    prefix: &str,
) -> Result<Vec<Object>, CloudError> {
    let listing = Listing { prefix: prefix.to_owned(), limit: LISTING_LIMIT, ..Listing::default() };
    let mut collector = Collector::new(&listing);
    while let Some((span, count)) = collector.next() {
        let found = call.state.store.objects(container.uuid, span, false, count, call.now()).await?;
        collector.take(found.into_iter().map(|object| (object.name.clone(), object)), count);
    }
    let items = collector.entries().into_iter().filter_map(|entry| match entry {
        Entry::Item(object) => Some(object),
        Entry::Subdir(_) => None,
    });
    Ok(items.collect())
}

/// The stored pieces of a stretch of an object. A segment that is not any more what its manifest says is a conflict.
pub(super) async fn pieces(
    call: &Call,
    guest: &Guest,
    object: &Object,
    view: &View,
    start: u64,
    length: u64,
) -> Result<Vec<Piece>, CloudError> {
    let mut finder = Finder::new(call, guest);
    let mut pieces = Vec::new();
    // Wants in reverse order: the next one is the last.
    let mut wants = match (&object.manifest, &view.segments) {
        (Some(Manifest::Static(segments)), _) => static_wants(segments, start, length, 1)?,
        (Some(Manifest::Dynamic { container, .. }), Some(segments)) => {
            let lengths: Vec<u64> = segments.iter().map(|segment| unsigned(segment.bytes)).collect();
            let mut wants: Vec<Want> = cut(&lengths, start, length)
                .into_iter()
                .map(|(index, start, length)| Want {
                    container: container.clone(),
                    object: segments[index].name.clone(),
                    etag: Some(segments[index].etag.clone()),
                    start,
                    length,
                    depth: 1,
                })
                .collect();
            wants.reverse();
            wants
        }
        _ => {
            pieces.extend(object.body.filter(|_| length > 0).map(|body| Piece { body, start, length }));
            return Ok(pieces);
        }
    };
    while let Some(want) = wants.pop() {
        let found = finder.object(&want).await?;
        if pieces.len() + wants.len() > PIECES || want.depth > MAX_MANIFEST_DEPTH {
            return Err(CloudError::conflict(format!(
                "{} is made of more than {PIECES} segments, or nested more than {MAX_MANIFEST_DEPTH} deep.",
                object.name
            )));
        }
        match &found.manifest {
            Some(Manifest::Static(segments)) => {
                wants.extend(static_wants(segments, want.start, want.length, want.depth + 1)?);
            }
            _ => pieces.extend(found.body.map(|body| Piece { body, start: want.start, length: want.length })),
        }
    }
    Ok(pieces)
}

/// The segments that a stretch consists of, last first.
fn static_wants(
    segments: &[Segment],
    start: u64,
    length: u64,
    depth: usize,
) -> Result<Vec<Want>, CloudError> {
    let stretches = segments.iter().map(stretch).collect::<Option<Vec<_>>>();
    let stretches =
        stretches.ok_or_else(|| CloudError::conflict("The manifest has a range that is none."))?;
    let lengths: Vec<u64> = stretches.iter().map(|(_, length)| *length).collect();
    let mut wants = Vec::new();
    for (index, offset, length) in cut(&lengths, start, length).into_iter().rev() {
        let segment = &segments[index];
        let Some((container, object)) = segment.place() else { continue };
        wants.push(Want {
            container: container.to_owned(),
            object: object.to_owned(),
            etag: Some(segment.hash.clone()),
            start: stretches[index].0 + offset,
            length,
            depth,
        });
    }
    Ok(wants)
}

/// Where a segment begins within its object, and its length.
pub(super) fn stretch(segment: &Segment) -> Option<(u64, u64)> {
    let size = unsigned(segment.bytes);
    match &segment.range {
        None => Some((0, size)),
        Some(range) => {
            let ranges = parse_ranges(&format!("bytes={range}"), size).ok()?;
            ranges.first().map(|range| (range.start, range.length))
        }
    }
}

/// What a stretch has of consecutive things of these lengths: index, start within it, length.
fn cut(lengths: &[u64], start: u64, length: u64) -> Vec<(usize, u64, u64)> {
    let end = start.saturating_add(length);
    let mut at = 0_u64;
    let mut found = Vec::new();
    for (index, own) in lengths.iter().enumerate() {
        let (from, to) = (start.max(at), end.min(at + own));
        if from < to {
            found.push((index, from - at, to - from));
        }
        at += own;
    }
    found
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Finds segments; a container is looked up once.
struct Finder<'a> {
    call: &'a Call,
    guest: &'a Guest,
    containers: HashMap<String, Container>,
}

impl<'a> Finder<'a> {
    fn new(call: &'a Call, guest: &'a Guest) -> Self {
        Self { call, guest, containers: HashMap::new() }
    }

    /// A container that the guest may read segments from.
    async fn container(&mut self, name: &str) -> Result<Container, CloudError> {
        if let Some(known) = self.containers.get(name) {
            return Ok(known.clone());
        }
        let container = self.call.state.store.object_container(&self.guest.project, name).await?;
        if !reaches(self.call, self.guest, &container) {
            return Err(CloudError::forbidden(format!(
                "Access was denied to this resource: it has segments in the container {name}, which is not open to you."
            )));
        }
        self.containers.insert(name.to_owned(), container.clone());
        Ok(container)
    }

    async fn object(&mut self, want: &Want) -> Result<Object, CloudError> {
        let gone = |why: &str| {
            CloudError::conflict(format!("The segment /{}/{} {why}.", want.container, want.object))
        };
        let container = match self.container(&want.container).await {
            Err(error) if error.status == StatusCode::NOT_FOUND => return Err(gone("is not there any more")),
            other => other?,
        };
        let object = match self.call.state.store.object(container.uuid, &want.object, self.call.now()).await {
            Err(StoreError::NotFound { .. }) => return Err(gone("is not there any more")),
            other => other?,
        };
        let is_as_said = want.etag.as_ref().is_none_or(|etag| *etag == object.etag);
        let has_bytes = want.start + want.length <= unsigned(object.bytes);
        if is_as_said && has_bytes { Ok(object) } else { Err(gone("has been written over")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_cut_along_its_segments() {
        assert_eq!(cut(&[3, 0, 4], 0, 7), [(0, 0, 3), (2, 0, 4)]);
        assert_eq!(cut(&[3, 0, 4], 2, 3), [(0, 2, 1), (2, 0, 2)]);
        assert_eq!(cut(&[3, 0, 4], 4, u64::MAX), [(2, 1, 3)]);
        assert!(cut(&[3, 4], 7, 1).is_empty());
        assert!(cut(&[3, 4], 2, 0).is_empty());
    }
}
