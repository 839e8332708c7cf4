"""All tables of the record.

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alarms",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("probable_cause", sa.String(), nullable=False),
        sa.Column("specific_problem", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("raised", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reported", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("run", sa.Text(), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alarms")),
        sa.UniqueConstraint("id", name=op.f("uq_alarms_id")),
    )
    op.create_index(
        "ix_alarms_identity",
        "alarms",
        ["station", "object", "probable_cause", "specific_problem", "number"],
        unique=False,
    )
    op.create_index(
        "ix_alarms_standing",
        "alarms",
        ["station", "object", "probable_cause", "specific_problem"],
        unique=True,
        sqlite_where=sa.text("state IN ('raised', 'repairing') OR (state = 'escalated' AND cleared IS NULL)"),
        postgresql_where=sa.text("state IN ('raised', 'repairing') OR (state = 'escalated' AND cleared IS NULL)"),
    )
    op.create_index(op.f("ix_alarms_state"), "alarms", ["state"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "audit_head",
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "devices",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("adopted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("network_digest", sa.String(), nullable=False),
        sa.Column("applied", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("station", name=op.f("pk_devices")),
    )
    op.create_table(
        "healths",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("station", name=op.f("pk_healths")),
    )
    op.create_table(
        "holds",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_holds")),
        sa.UniqueConstraint("id", name=op.f("uq_holds_id")),
    )
    op.create_table(
        "journal",
        sa.Column("transaction", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("persist", sa.Text(), server_default="", nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("transaction", "seq", name=op.f("pk_journal")),
    )
    op.create_table(
        "leases",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("transaction", sa.String(), nullable=True),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("incarnation", sa.String(), nullable=True),
        sa.Column("recovers", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("station", name=op.f("pk_leases")),
        sa.UniqueConstraint("transaction", name=op.f("uq_leases_transaction")),
    )
    op.create_index(op.f("ix_leases_incarnation"), "leases", ["incarnation"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("owners", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("station", "path", name=op.f("pk_ledger")),
    )
    op.create_table(
        "networks",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("saved", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_networks")),
    )
    op.create_index(
        "ix_networks_current",
        "networks",
        ["current"],
        unique=True,
        sqlite_where=sa.text('"current"'),
        postgresql_where=sa.text('"current"'),
    )
    op.create_table(
        "plans",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_plans")),
        sa.UniqueConstraint("id", name=op.f("uq_plans_id")),
    )
    op.create_table(
        "repairs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_repairs")),
    )
    op.create_index("ix_repairs_rule_object_at", "repairs", ["rule", "object", "at"], unique=False)
    op.create_table(
        "switches",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("on", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_switches")),
    )
    op.create_table(
        "tokens",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_tokens")),
    )
    op.create_table(
        "workers",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("sessions", sa.Integer(), server_default="0", nullable=False),
        sa.Column("alive", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_workers")),
        sa.UniqueConstraint("id", name=op.f("uq_workers_id")),
    )
    op.create_table(
        "changes",
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name=op.f("fk_changes_plan")),
        sa.PrimaryKeyConstraint("plan", "station", name=op.f("pk_changes")),
    )
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("procedure", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("network_digest", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("waves", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name=op.f("fk_runs_plan")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_runs")),
        sa.UniqueConstraint("id", name=op.f("uq_runs_id")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_runs_idempotency_key")),
    )
    op.create_index(op.f("ix_runs_state"), "runs", ["state"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("ready", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.Column("incarnation", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_jobs_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(
        "ix_jobs_claimed_station",
        "jobs",
        ["station"],
        unique=True,
        sqlite_where=sa.text("state = 'claimed'"),
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.create_index("ix_jobs_run_wave_station", "jobs", ["run", "wave", "station"], unique=True)
    op.create_index("ix_jobs_state_run", "jobs", ["state", "run"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_jobs_state_run", table_name="jobs")
    op.drop_index("ix_jobs_run_wave_station", table_name="jobs")
    op.drop_index(
        "ix_jobs_claimed_station",
        table_name="jobs",
        sqlite_where=sa.text("state = 'claimed'"),
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.drop_table("jobs")
    op.drop_index(op.f("ix_runs_state"), table_name="runs")
    op.drop_table("runs")
    op.drop_table("changes")
    op.drop_table("workers")
    op.drop_table("tokens")
    op.drop_table("switches")
    op.drop_index("ix_repairs_rule_object_at", table_name="repairs")
    op.drop_table("repairs")
    op.drop_table("plans")
    op.drop_index(
        "ix_networks_current",
        table_name="networks",
        sqlite_where=sa.text('"current"'),
        postgresql_where=sa.text('"current"'),
    )
    op.drop_table("networks")
    op.drop_table("ledger")
    op.drop_index(op.f("ix_leases_incarnation"), table_name="leases")
    op.drop_table("leases")
    op.drop_table("journal")
    op.drop_table("holds")
    op.drop_table("healths")
    op.drop_table("devices")
    op.drop_table("audit_head")
    op.drop_table("audit")
    op.drop_index(op.f("ix_alarms_state"), table_name="alarms")
    op.drop_index(
        "ix_alarms_standing",
        table_name="alarms",
        sqlite_where=sa.text("state IN ('raised', 'repairing') OR (state = 'escalated' AND cleared IS NULL)"),
        postgresql_where=sa.text("state IN ('raised', 'repairing') OR (state = 'escalated' AND cleared IS NULL)"),
    )
    op.drop_index("ix_alarms_identity", table_name="alarms")
    op.drop_table("alarms")
