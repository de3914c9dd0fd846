use super::*;
use crate::SortDirection;
use jiff::Timestamp;
use model::image::{Member, MemberStatus, Visibility};

const OURS: &str = "11111111111111111111111111111111";
const THEIRS: &str = "22222222222222222222222222222222";

async fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = crate::testing::open(dir.path()).await.unwrap();
    (dir, store)
}

fn image(name: &str, owner: &str, visibility: Visibility) -> Image {
    let now = Timestamp::from_second(1_700_000_000 + name.len() as i64).unwrap();
    let mut image = Image::new(Uuid::new_v4(), Some(owner.into()), now);
    image.name = Some(name.into());
    image.visibility = visibility;
    image
}

async fn names(store: &Store, query: ImageQuery) -> Vec<String> {
    let query = ImageQuery { limit: 100, ..query };
    let mut names: Vec<_> =
        store.images(&query).await.unwrap().into_iter().map(|image| image.name.unwrap()).collect();
    if query.sort.is_empty() {
        names.sort();
    }
    names
}

fn seen_by(project: &str) -> ImageQuery {
    ImageQuery {
        viewer: Viewer::Project(project.into()),
        member_status: Some(MemberStatus::Accepted),
        ..ImageQuery::default()
    }
}

#[tokio::test]
async fn projects_see_their_own_public_and_accepted_images() {
    let (_dir, store) = store().await;
    let shared = image("shared", THEIRS, Visibility::Shared);
    for image in [
        image("ours", OURS, Visibility::Private),
        image("theirs", THEIRS, Visibility::Private),
        image("public", THEIRS, Visibility::Public),
        image("community", THEIRS, Visibility::Community),
        shared.clone(),
    ] {
        store.create_image(&image).await.unwrap();
    }
    assert_eq!(names(&store, seen_by(OURS)).await, ["ours", "public"]);
    let now = Timestamp::now();
    let member = Member {
        image: shared.uuid,
        project: OURS.into(),
        status: MemberStatus::Pending,
        created_at: now,
        updated_at: now,
    };
    store.create_image_member(&member, 10).await.unwrap();
    assert!(matches!(store.create_image_member(&member, 10).await, Err(StoreError::Duplicate { .. })));
    let other = Member { project: "x".into(), ..member.clone() };
    assert!(matches!(store.create_image_member(&other, 1).await, Err(StoreError::InUse { .. })));
    let nowhere = Member { image: Uuid::new_v4(), ..member.clone() };
    assert!(matches!(store.create_image_member(&nowhere, 10).await, Err(StoreError::NotFound { .. })));
    assert_eq!(names(&store, seen_by(OURS)).await, ["ours", "public"]);
    assert_eq!(
        names(&store, ImageQuery { member_status: None, ..seen_by(OURS) }).await,
        ["ours", "public", "shared"]
    );
    store.update_image_member(shared.uuid, OURS, MemberStatus::Accepted, now).await.unwrap();
    assert_eq!(names(&store, seen_by(OURS)).await, ["ours", "public", "shared"]);
    let of = |visibility| ImageQuery { visibility: Some(visibility), ..seen_by(OURS) };
    assert_eq!(names(&store, of(Visibility::Community)).await, ["community"]);
    assert_eq!(names(&store, of(Visibility::Private)).await, ["ours"]);
    assert_eq!(names(&store, ImageQuery { with_community: true, ..seen_by(OURS) }).await.len(), 4);
    assert_eq!(names(&store, ImageQuery::default()).await.len(), 5);
    store.delete_image::<StoreError>(shared.uuid, |_, _| Ok(())).await.unwrap();
    assert!(store.image_members(shared.uuid).await.unwrap().is_empty());
}

#[tokio::test]
async fn lists_filter_and_page_by_several_keys() {
    let (_dir, store) = store().await;
    for n in 0..7_u64 {
        let mut image = image(["a", "b", "c"][n as usize % 3], OURS, Visibility::Private);
        image.size = (n != 3).then_some(n);
        image.tags = [format!("t{}", n % 2)].into();
        image.properties = [("n".to_owned(), n.to_string())].into();
        store.create_image(&image).await.unwrap();
    }
    let sort = vec![
        ("COALESCE(name, '')", SortDirection::Ascending),
        ("COALESCE(size, -1)", SortDirection::Descending),
    ];
    let mut query = ImageQuery { sort, limit: 2, ..ImageQuery::default() };
    let mut walked = Vec::new();
    loop {
        let page = store.images(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        query.marker = Some(last.uuid);
        walked.extend(page.into_iter().map(|image| (image.name.unwrap(), image.size)));
    }
    let row = |name: &str, size| (name.to_owned(), size);
    assert_eq!(
        walked,
        [
            row("a", Some(6)),
            row("a", Some(0)),
            row("a", None),
            row("b", Some(4)),
            row("b", Some(1)),
            row("c", Some(5)),
            row("c", Some(2)),
        ]
    );
    let at_least =
        Condition { column: "size", operator: Operator::AtLeast, values: vec![Column::Number(Some(4))] };
    let query = ImageQuery { conditions: vec![at_least], tags: vec!["t0".into()], ..ImageQuery::default() };
    assert_eq!(names(&store, query).await, ["a", "b"]);
    let query = ImageQuery { properties: vec![("n".into(), "5".into())], ..ImageQuery::default() };
    assert_eq!(names(&store, query).await, ["c"]);
}

#[tokio::test]
async fn a_change_reaches_what_lists_look_at() {
    let (_dir, store) = store().await;
    let image = image("a", OURS, Visibility::Private);
    store.create_image(&image).await.unwrap();
    let tagged = ImageQuery { tags: vec!["new".into()], ..ImageQuery::default() };
    assert!(names(&store, tagged.clone()).await.is_empty());
    store
        .edit_image::<StoreError>(image.uuid, |image| {
            image.tags.insert("new".into());
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(names(&store, tagged).await, ["a"]);
    let refused = store
        .edit_image(image.uuid, |image| {
            image.name = None;
            Err(StoreError::Full)
        })
        .await;
    assert!(refused.is_err());
    assert_eq!(store.get::<Image>(&image.uuid.to_string()).await.unwrap().name.as_deref(), Some("a"));
}
