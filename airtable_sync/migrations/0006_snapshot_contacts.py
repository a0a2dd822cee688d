from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("airtable_sync", "0005_help_texts")]

    operations = [
        migrations.AddField(
            model_name="snapshot",
            name="contacts",
            field=models.PositiveIntegerField(
                null=True,
                help_text=(
                    "Each counts once for each client that it belongs to. Unknown of old snapshots."
                ),
            ),
        ),
    ]
