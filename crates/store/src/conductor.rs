//! Conductors: the processes of a site, and the sessions that their claims hang on.
//!
//! A session is a lease on being alive. Its process prolongs it every few seconds, one row whatever number of nodes it holds. Whoever
//! finds one that has run out ends it, and in the same transaction frees the nodes and tasks that it held. That a session has ended
//! is a fact in the database and no comparison of clocks: it can't be prolonged again, so a process that was paused meanwhile learns
//! at its next try that nothing is its own any more, and begins another one.
//!
//! Times are the database's, not those of the hosts, so it does no harm if the hosts' clocks differ. What a holder has to know besides
//! is how long it may rely on its last prolongation; it measures that from before it asked, with a clock of its own that runs on while
//! the machine sleeps ([`crate::uptime`]).

use crate::transaction::Write;
use crate::{Result, Store, StoreError, micros};
use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, Row};
use std::time::Duration;
use uuid::Uuid;

/// Sessions that ended are shown for so long.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// A process as it presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Name; unique among those that live.
    pub hostname: String,
    /// The conductor group whose nodes it serves, lower case.
    pub conductor_group: String,
    /// The hardware types that it serves.
    pub drivers: Vec<String>,
    /// What it does: `api`, `conductor`, `netboot`.
    pub roles: Vec<String>,
}

/// A process, as all of them see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its session.
    pub session: Uuid,
    /// What it says of itself.
    pub presence: Presence,
    /// When a process of that name was first seen.
    pub created_at: Timestamp,
    /// When it last said that it lives.
    pub seen_at: Timestamp,
    /// Its session lasts.
    pub is_alive: bool,
}

/// What came of an attempt to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// The session has begun.
    Yes,
    /// A process of that name has a session that lasts.
    Taken {
        /// Whose.
        session: Uuid,
        /// When it last said that it lives.
        seen_at: Timestamp,
    },
}

impl Store {
    /// Begins a session that lasts for `ttl` unless it is prolonged. `buried` are sessions of the same name whose process is known to
    /// be dead, so that they need not run out.
    pub async fn join(
        &self,
        session: Uuid,
        presence: &Presence,
        buried: &[Uuid],
        ttl: Duration,
    ) -> Result<Joined> {
        // Two that begin at one time meet in the index of living names.
        let mut tx = self.write_rows().await?;
        let now = self.clock(&mut tx).await?;
        let mut created = now;
        let sql = format!(
            "SELECT session, created_us, seen_us, until_us, ended FROM conductors WHERE hostname = $1 ORDER BY id{}",
            tx.row_lock()
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(&presence.hostname).fetch_all(&mut *tx).await?;
        for row in &rows {
            let known = parsed(row.try_get("session")?)?;
            created = created.min(row.try_get("created_us")?);
            if row.try_get::<i64, _>("ended")? != 0 {
                continue;
            }
            if row.try_get::<i64, _>("until_us")? >= now && !buried.contains(&known) {
                return Ok(Joined::Taken { session: known, seen_at: time(row.try_get("seen_us")?) });
            }
            end(&mut tx, known).await?;
        }
        let done = sqlx::query(
            "INSERT INTO conductors (session, hostname, conductor_group, drivers, roles, created_us, seen_us, until_us) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(session.to_string())
        .bind(&presence.hostname)
        .bind(&presence.conductor_group)
        .bind(list(&presence.drivers)?)
        .bind(list(&presence.roles)?)
        .bind(created)
        .bind(now)
        .bind(now.saturating_add(length(ttl)))
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(Joined::Taken { session, seen_at: time(now) });
        }
        sqlx::query("DELETE FROM conductors WHERE ended = 1 AND seen_us < $1")
            .bind(now.saturating_sub(micros_of(REMEMBERED)))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.nudge();
        Ok(Joined::Yes)
    }

    /// Prolongs a session. `false`: it has ended, and with it every claim that hung on it.
    pub async fn prolong(&self, session: Uuid, ttl: Duration) -> Result<bool> {
        let mut tx = self.write_life().await?;
        let now = self.clock(&mut tx).await?;
        let sql = "UPDATE conductors SET seen_us = $1, until_us = $2 WHERE session = $3 AND ended = 0";
        let done = sqlx::query(sql)
            .bind(now)
            .bind(now.saturating_add(length(ttl)))
            .bind(session.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends the sessions that have run out, and frees what was held by those that have ended.
    pub async fn bury_dead(&self) -> Result<()> {
        let mut tx = self.write_rows().await?;
        let now = self.clock(&mut tx).await?;
        let freed = bury(&mut tx, now).await?;
        tx.commit().await?;
        if freed {
            self.nudge();
            self.nudge_servers();
        }
        Ok(())
    }

    /// Ends a session: its process says goodbye, or is known to be dead. What it held is free.
    pub async fn leave(&self, session: Uuid) -> Result<()> {
        let mut tx = self.write_rows().await?;
        end(&mut tx, session).await?;
        tx.commit().await?;
        self.nudge();
        self.nudge_servers();
        Ok(())
    }

    /// Ends every session and drops every claim. Right only where this process is the only one: under the lock of a SQLite state
    /// directory. Out comes the number of claims.
    pub async fn release_all(&self) -> Result<u64> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE conductors SET ended = 1 WHERE ended = 0").execute(&mut *tx).await?;
        sqlx::query("DELETE FROM task_leases").execute(&mut *tx).await?;
        let done = sqlx::query(
            "UPDATE nodes SET lease_holder = NULL, lease_session = NULL WHERE lease_holder IS NOT NULL",
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.nudge();
        Ok(done.rows_affected())
    }

    /// Every process that was seen in the last day, each name once, in the order of their first sessions.
    pub async fn members(&self) -> Result<Vec<Member>> {
        let rows = sqlx::query(
            "SELECT session, hostname, conductor_group, drivers, roles, created_us, seen_us, ended FROM conductors ORDER BY id",
        )
        .fetch_all(self.read())
        .await?;
        let mut members: Vec<Member> = Vec::new();
        for row in &rows {
            let member = Member {
                session: parsed(row.try_get("session")?)?,
                presence: Presence {
                    hostname: row.try_get("hostname")?,
                    conductor_group: row.try_get("conductor_group")?,
                    drivers: unlisted(row.try_get("drivers")?)?,
                    roles: unlisted(row.try_get("roles")?)?,
                },
                created_at: time(row.try_get("created_us")?),
                seen_at: time(row.try_get("seen_us")?),
                is_alive: row.try_get::<i64, _>("ended")? == 0,
            };
            match members.iter_mut().find(|known| known.presence.hostname == member.presence.hostname) {
                Some(known) => *known = member,
                None => members.push(member),
            }
        }
        Ok(members)
    }

    /// Takes on what one process does for all. `true`: it is this session's, from now or from before, until the session ends.
    pub async fn take_task(&self, name: &str, session: Uuid) -> Result<bool> {
        let holder = self.holder_of_task(name).await?;
        // Whoever has it keeps it, so that nearly always nothing is written.
        if let Some(holder) = holder {
            return Ok(holder == session.to_string());
        }
        let mut tx = self.write_rows().await?;
        let done =
            sqlx::query("INSERT INTO task_leases (name, session) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(name)
                .bind(session.to_string())
                .execute(&mut *tx)
                .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    async fn holder_of_task(&self, name: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT session FROM task_leases WHERE name = $1")
            .bind(name)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| Ok(row.try_get("session")?)).transpose()
    }

    /// What time the database has, in microseconds.
    async fn clock(&self, tx: &mut Write) -> Result<i64> {
        if !self.is_shared() {
            return Ok(micros(Timestamp::now()));
        }
        let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now_us";
        Ok(sqlx::query(sql).fetch_one(&mut **tx).await?.try_get("now_us")?)
    }
}

/// Ends the sessions that have run out. `true`: something of theirs is free now.
async fn bury(tx: &mut Write, now: i64) -> Result<bool> {
    let rows = sqlx::query("SELECT session, hostname FROM conductors WHERE ended = 0 AND until_us < $1")
        .bind(now)
        .fetch_all(&mut **tx)
        .await?;
    for row in rows {
        // Its process may prolong it just now: then it lives.
        let session: String = row.try_get("session")?;
        let done =
            sqlx::query("UPDATE conductors SET ended = 1 WHERE session = $1 AND ended = 0 AND until_us < $2")
                .bind(&session)
                .bind(now)
                .execute(&mut **tx)
                .await?;
        if done.rows_affected() > 0 {
            let hostname: String = row.try_get("hostname")?;
            tracing::warn!(
                hostname,
                session,
                "a process was not heard of for too long; others take its nodes"
            );
        }
    }
    // Those that ended earlier are looked at too: a claim of theirs may have been on its way.
    let nodes = sqlx::query(
        "UPDATE nodes SET lease_holder = NULL, lease_session = NULL WHERE lease_session IS NOT NULL AND lease_session IN \
         (SELECT session FROM conductors WHERE ended = 1)",
    )
    .execute(&mut **tx)
    .await?;
    let tasks = sqlx::query(
        "DELETE FROM task_leases WHERE session IN (SELECT session FROM conductors WHERE ended = 1)",
    )
    .execute(&mut **tx)
    .await?;
    Ok(nodes.rows_affected() + tasks.rows_affected() > 0)
}

/// Ends one session and frees what it held.
async fn end(tx: &mut Write, session: Uuid) -> Result<()> {
    for sql in [
        "UPDATE conductors SET ended = 1 WHERE session = $1",
        "UPDATE nodes SET lease_holder = NULL, lease_session = NULL WHERE lease_session = $1",
        "DELETE FROM task_leases WHERE session = $1",
    ] {
        sqlx::query(sql).bind(session.to_string()).execute(&mut **tx).await?;
    }
    Ok(())
}

fn list(names: &[String]) -> Result<String> {
    serde_json::to_string(names).map_err(corrupt)
}

fn unlisted(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text).map_err(corrupt)
}

fn corrupt(source: serde_json::Error) -> StoreError {
    StoreError::Corrupt { what: "conductor".to_owned(), source }
}

fn parsed(text: &str) -> Result<Uuid> {
    Uuid::parse_str(text).map_err(|error| corrupt(serde::de::Error::custom(error)))
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}

fn length(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX)
}

fn micros_of(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
