// An unmodified discord.js: see conversation.py.
const {
  ActionRowBuilder, AttachmentBuilder, ButtonBuilder, ButtonStyle, Client, Events, GatewayIntentBits,
  MessageFlags, ModalBuilder, SlashCommandBuilder, TextInputBuilder, TextInputStyle,
} = require("discord.js");

const client = new Client({
  intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages],
  rest: { api: `${process.env.DISCORD_ORIGIN}/api` },
});

client.once(Events.ClientReady, async () => {
  const hello = new SlashCommandBuilder()
    .setName("hello")
    .setDescription("Greet somebody")
    .addStringOption((option) => option.setName("name").setDescription("Whom").setRequired(true));
  await client.application.commands.set([hello]);
});

client.on(Events.InteractionCreate, async (interaction) => {
  if (interaction.isChatInputCommand()) {
    const button = new ButtonBuilder()
      .setCustomId("press").setLabel("Press").setEmoji("ℹ️").setStyle(ButtonStyle.Primary);
    await interaction.reply({
      content: `Hello ${interaction.options.getString("name")}`,
      files: [new AttachmentBuilder(Buffer.from("a file"), { name: "hello.txt" })],
      components: [new ActionRowBuilder().addComponents(button)],
    });
  } else if (interaction.isButton()) {
    const input = new TextInputBuilder()
      .setCustomId("colour").setLabel("Colour").setStyle(TextInputStyle.Short);
    const modal = new ModalBuilder().setCustomId("form").setTitle("Form")
      .addComponents(new ActionRowBuilder().addComponents(input));
    await interaction.showModal(modal);
  } else if (interaction.isModalSubmit()) {
    const colour = interaction.fields.getTextInputValue("colour");
    await interaction.reply({ content: `You chose ${colour}`, flags: MessageFlags.Ephemeral });
    await interaction.followUp("And more");
  }
});

client.on(Events.Error, (error) => { console.error(error); process.exit(1); });
client.login(process.env.DISCORD_TOKEN);
