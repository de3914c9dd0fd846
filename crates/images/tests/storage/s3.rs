//! A bucket: our side of S3's protocol, against a server that keeps objects in memory and checks that requests are signed.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use images::{Algorithm, Backend, Name, S3Settings, StorageError};
use model::Secret;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<u32, Vec<u8>>,
    aborted: usize,
}

type Shared = Arc<Mutex<Bucket>>;

async fn serve(State(bucket): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let signed = parts
        .headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value.to_str().unwrap().starts_with("AWS4-HMAC-SHA256 Credential=us/"));
    if !signed {
        return (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>").into_response();
    }
    let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let mut bucket = bucket.lock().unwrap();
    let range = parts.headers.get(header::RANGE).map(|value| value.to_str().unwrap().to_owned());
    match (parts.method.as_str(), query.as_str()) {
        ("POST", "uploads=") | ("POST", "uploads") => {
            "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
                .into_response()
        }
        ("PUT", query) if query.contains("partNumber=") => {
            let number =
                query.split("partNumber=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
            bucket.parts.insert(number, bytes.to_vec());
            ([(header::ETAG, "\"part\"")], "").into_response()
        }
        ("POST", query) if query.contains("uploadId=") => {
            let whole = std::mem::take(&mut bucket.parts).into_values().flatten().collect();
            bucket.objects.insert(path, whole);
            "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>"
                .into_response()
        }
        ("DELETE", query) if query.contains("uploadId=") => {
            bucket.aborted += 1;
            bucket.parts.clear();
            StatusCode::NO_CONTENT.into_response()
        }
        ("DELETE", _) => {
            bucket.objects.remove(&path);
            StatusCode::NO_CONTENT.into_response()
        }
        ("GET", query) if query.contains("list-type=2") => {
            let keys: String = bucket
                .objects
                .iter()
                .map(|(key, bytes)| {
                    format!(
                        "<Contents><Key>{}</Key><Size>{}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                         <ETag>\"e\"</ETag></Contents>",
                        key.trim_start_matches("/bucket/"),
                        bytes.len()
                    )
                })
                .collect();
            format!("<ListBucketResult>{keys}</ListBucketResult>").into_response()
        }
        (method, _) => match bucket.objects.get(&path) {
            None => (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>").into_response(),
            Some(object) => answer(method, object, range),
        },
    }
}

fn answer(method: &str, object: &[u8], range: Option<String>) -> Response {
    let mut response = Response::builder()
        .header(header::LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT")
        .header(header::ETAG, "\"e\"");
    let mut bytes = object;
    if let Some(range) = range {
        let (from, to) = range.trim_start_matches("bytes=").split_once('-').unwrap();
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
        bytes = &object[from..=to];
        response = response
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, format!("bytes {from}-{to}/{}", object.len()));
    }
    response = response.header(header::CONTENT_LENGTH, bytes.len());
    let body = if method == "HEAD" { Body::empty() } else { Body::from(bytes.to_vec()) };
    response.body(body).unwrap()
}

async fn bucket() -> (Shared, Backend) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shared = Shared::default();
    let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = S3Settings {
        bucket: "bucket".into(),
        prefix: "cloud/".into(),
        endpoint: Some(endpoint),
        region: "us-east-1".into(),
        access_key: "us".into(),
        secret_key: Secret::new("s3cr3t"),
    };
    (shared, Backend::s3(&settings).unwrap())
}

async fn whole(backend: &Backend, name: &Name, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let mut reading = backend.read(name, range).await.unwrap();
    let mut all = Vec::new();
    while let Some(piece) = reading.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    all
}

#[tokio::test]
async fn objects_go_in_by_parts_and_come_out_by_ranges() {
    let (shared, backend) = bucket().await;
    let name = Name::new("images", "a").unwrap();
    let bytes: Vec<u8> = (0..20_000_001_u32).map(|n| (n % 251) as u8).collect();
    let mut upload = backend.upload(&name, None, u64::MAX, &[Algorithm::Sha256]).await.unwrap();
    for piece in bytes.chunks(300_007) {
        upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    assert_eq!(upload.finish().await.unwrap().size, bytes.len() as u64);
    assert_eq!(shared.lock().unwrap().objects.keys().collect::<Vec<_>>(), ["/bucket/cloud/images/a"]);
    assert!(whole(&backend, &name, None).await == bytes);
    assert_eq!(whole(&backend, &name, Some(5..9)).await, &bytes[5..9]);
    assert_eq!(backend.size(&name).await.unwrap(), bytes.len() as u64);
    assert_eq!(backend.list("images").await.unwrap(), std::slice::from_ref(&name));
    assert_eq!(backend.path(&name), None);
    let about = backend.inspect(&name, Some(disk::Format::Raw)).await.unwrap().unwrap();
    assert_eq!(about.image_bytes, Some(bytes.len() as u64));
    backend.delete(&name).await.unwrap();
    assert!(matches!(backend.read(&name, None).await, Err(StorageError::NotFound { .. })));
}

#[tokio::test]
async fn an_upload_that_is_dropped_is_given_up() {
    let (shared, backend) = bucket().await;
    let name = Name::new("images", "a").unwrap();
    let mut upload = backend.upload(&name, None, u64::MAX, &[]).await.unwrap();
    upload.write(Bytes::from(vec![0; 9 << 20])).await.unwrap();
    drop(upload);
    let given_up = async {
        while shared.lock().unwrap().aborted == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), given_up).await.unwrap();
    assert!(shared.lock().unwrap().objects.is_empty());
}

#[tokio::test]
async fn an_empty_object_is_an_object() {
    let (_shared, backend) = bucket().await;
    let name = Name::new("objects", "empty").unwrap();
    backend.upload(&name, Some(0), 0, &[]).await.unwrap().finish().await.unwrap();
    assert_eq!(whole(&backend, &name, None).await, b"");
}

#[tokio::test]
async fn a_refusal_says_who_refused_what() {
    let (_shared, backend) = bucket().await;
    let settings = S3Settings {
        bucket: "bucket".into(),
        prefix: String::new(),
        endpoint: Some("http://127.0.0.1:1".into()),
        region: "us-east-1".into(),
        access_key: "us".into(),
        secret_key: Secret::new("s3cr3t"),
    };
    assert!(!format!("{settings:?}").contains("s3cr3t"));
    let missing = backend.size(&Name::new("images", "none").unwrap()).await.unwrap_err();
    assert!(missing.to_string().contains("images/none"), "{missing}");
}
