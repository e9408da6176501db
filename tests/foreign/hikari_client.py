"""An unmodified hikari: see conversation.py. Run as a program, where hikari is installed."""

# mypy: ignore-errors
import os

import hikari

bot = hikari.GatewayBot(
    os.environ["DISCORD_TOKEN"],
    intents=hikari.Intents.GUILDS | hikari.Intents.GUILD_MESSAGES,
    rest_url=os.environ["DISCORD_API"],
    banner=None,
)


@bot.listen(hikari.StartedEvent)
async def register(_: hikari.StartedEvent) -> None:
    application = await bot.rest.fetch_application()
    command = bot.rest.slash_command_builder("hello", "Greet somebody").add_option(
        hikari.CommandOption(
            type=hikari.OptionType.STRING, name="name", description="Whom", is_required=True
        )
    )
    await bot.rest.set_application_commands(application.id, [command])


@bot.listen(hikari.InteractionCreateEvent)
async def answer(event: hikari.InteractionCreateEvent) -> None:
    interaction = event.interaction
    if isinstance(interaction, hikari.CommandInteraction):
        row = bot.rest.build_message_action_row()
        row.add_interactive_button(hikari.ButtonStyle.PRIMARY, "press", label="Press", emoji="ℹ️")
        await interaction.create_initial_response(
            hikari.ResponseType.MESSAGE_CREATE,
            f"Hello {interaction.options[0].value}",
            attachment=hikari.Bytes(b"a file", "hello.txt"),
            component=row,
        )
    elif isinstance(interaction, hikari.ComponentInteraction):
        row = bot.rest.build_modal_action_row().add_text_input("colour", "Colour")
        await interaction.create_modal_response("Form", "form", component=row)
    elif isinstance(interaction, hikari.ModalInteraction):
        colour = interaction.components[0].components[0].value
        await interaction.create_initial_response(
            hikari.ResponseType.MESSAGE_CREATE,
            f"You chose {colour}",
            flags=hikari.MessageFlag.EPHEMERAL,
        )
        await interaction.execute("And more")


bot.run(check_for_updates=False)
